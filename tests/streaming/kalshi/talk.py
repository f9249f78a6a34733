"""A conversation with the venue, scripted from both sides."""

import json
from typing import Any

from streaming.kalshi.findings import (
    Finding,
    Ready,
)
from streaming.kalshi.session import (
    FIREHOSES,
    KalshiSession,
)
from tests.streaming.kalshi.frames import frame, snapshot

BOOKS = "orderbook_delta"
BOOKS_SID = 4


class Talk:
    """A session and the venue's side of it, in a script's words."""

    def __init__(self, **options: Any) -> None:
        self.session = KalshiSession(**options)
        self.n = 0
        self.now_ns = 0
        self.findings: list[Finding] = []
        self.commands: list[dict[str, Any]] = []

    def start(self, *wanted: str) -> "Talk":
        self.session.start(now_ns=self.now_ns)
        if wanted:
            self.session.want(wanted, now_ns=self.now_ns)
        self.drain()
        return self

    def hear(self, *payloads: bytes) -> list[Finding]:
        found: list[Finding] = []
        for payload in payloads:
            self.n += 1
            found += self.session.receive(payload, n=self.n, received_ns=self.now_ns)
        self.findings += found
        self.drain()
        return found

    def wait(self, ns: int) -> list[Finding]:
        self.now_ns += ns
        found = self.session.on_time(self.now_ns)
        self.drain()
        return found

    def want(self, *tickers: str, is_complete: bool = True) -> None:
        self.session.want(tickers, now_ns=self.now_ns, is_complete=is_complete)
        self.drain()

    def drain(self) -> None:
        self.commands += [json.loads(command) for command in self.session.commands_to_send()]

    def last(self, action: str) -> dict[str, Any]:
        return [one for one in self.commands if action_of(one) == action][-1]

    def acknowledge(self, *, order: int = 1) -> None:
        """Answer every subscription of the firehoses and of the books as the venue does."""
        asked = [one for one in self.commands if one["cmd"] == "subscribe"]
        for command in asked[::order]:
            [channel] = command["params"]["channels"]
            sid = (*FIREHOSES, BOOKS).index(channel) + 1
            self.hear(frame("subscribed", sid=None, id=command["id"], msg={"channel": channel, "sid": sid}))


def action_of(command: dict[str, Any]) -> str:
    return str(command.get("params", {}).get("action", command["cmd"]))


def book(ticker: str, seq: int) -> bytes:
    return snapshot(ticker, seq, sid=BOOKS_SID)


def refusal(command_id: int, code: int, **outer: Any) -> bytes:
    return frame("error", sid=None, id=command_id, msg={"code": code, "msg": "no"}, **outer)


def ready(*tickers: str) -> Talk:
    """A conversation in which these books are followed."""
    talk = Talk().start(*tickers)
    talk.acknowledge()
    talk.hear(*(book(ticker, seq) for seq, ticker in enumerate(tickers, start=1)))
    assert talk.findings == [Ready(len(tickers))]
    return talk

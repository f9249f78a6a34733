"""Silence, judged by what REST tells: over a real HTTP server that says what the test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from streaming.kalshi.keyring import Keyring
from streaming.kalshi.recent_trades import RecentTrades
from streaming.kalshi.rest import KalshiRest
from streaming.kalshi.venue_watch import LATE_NS, QUIET_NS, VenueWatch, state_of
from tests.streaming.kalshi.frames import trade
from tests.streaming.kalshi.rest_server import rest_server

S = 1_000_000_000
NOON = int(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp()) * S
Look = Callable[[float], Awaitable[None]]
OPEN = {"exchange_active": True, "trading_active": True}


@dataclass
class Listener:
    """What the watch needs of a capture."""

    takes_trades: bool = True
    last_trade_ns: int = NOON
    recent_trades: RecentTrades = field(default_factory=RecentTrades)
    stalls: int = 0
    states: list[str] = field(default_factory=list)

    def trades_stalled(self) -> None:
        self.stalls += 1

    def exchange_is(self, state: str, *, resumes: str = "") -> None:
        self.states.append(state)


def row(trade_id: str, at_ns: int) -> dict[str, str]:
    at = datetime.fromtimestamp(at_ns / S, UTC).isoformat().replace("+00:00", "Z")
    return {"ticker": "A", "trade_id": trade_id, "created_time": at}


@asynccontextmanager
async def looking(listener: Listener, answers: dict[str, Any]) -> AsyncIterator[Look]:
    with rest_server() as server:
        server.answers = {path: [(200, body)] for path, body in answers.items()}
        watch = VenueWatch(server.url, Keyring(None), listener)
        async with KalshiRest(server.url, connect_attempts=1) as rest:

            async def look(seconds: float) -> None:
                await watch.look(rest, now_ns=NOON + int(seconds * S))

            yield look


def answers(*rows: dict[str, str], status: dict[str, Any] = OPEN) -> dict[str, Any]:
    return {"/exchange/status": status, "/markets/trades": {"trades": list(rows), "cursor": ""}}


AFTER = (QUIET_NS + LATE_NS) / S + 1


async def test_trades_that_rest_tells_and_the_stream_does_not_are_a_stall() -> None:
    listener = Listener()
    async with looking(listener, answers(row("missed", NOON + 5 * S))) as look:
        await look(0)
        await look(AFTER)

    assert listener.stalls == 1


async def test_an_exchange_that_does_not_trade_is_quiet_not_stalled() -> None:
    listener = Listener()
    async with looking(listener, answers(row("before", NOON - 5 * S))) as look:
        await look(0)
        await look(AFTER)

    assert listener.stalls == 0


async def test_a_trade_that_came_or_may_still_come_is_no_stall() -> None:
    listener = Listener()
    listener.recent_trades.note(trade("A", 1, trade_id="came"))
    fresh = row("fresh", NOON + int(AFTER * S) - LATE_NS // 2)
    async with looking(listener, answers(fresh, row("came", NOON + 5 * S))) as look:
        await look(0)
        await look(AFTER)

    assert listener.stalls == 0


async def test_a_paused_exchange_is_told_and_its_silence_is_no_stall() -> None:
    listener = Listener()
    paused = answers(row("missed", NOON + 5 * S), status={"exchange_active": True, "trading_active": False})
    async with looking(listener, paused) as look:
        await look(0)
        await look(AFTER)

    assert (listener.states, listener.stalls) == (["exchange_paused"] * 2, 0)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (OPEN, ""),
        ({}, ""),
        ({"exchange_active": False, "trading_active": False}, "exchange_outage"),
        ({"exchange_active": True, "trading_active": False}, "exchange_paused"),
    ],
)
def test_what_the_exchange_says_of_itself_has_a_name(status: dict[str, object], state: str) -> None:
    assert state_of(status) == state

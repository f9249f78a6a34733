"""The gateway's messages as JSON text: exact decimals, made from integers, never from a float. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streaming.events import GapNotice, Level, Origin, Trade
from streaming.gateway.requests import Problem

_MS = 1_000_000  # ns


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it goes to every client that wants it; `kind` is its `type`."""

    kind: str
    text: str


def decimal(value: int, places: int) -> str:
    """`value` / 10**places as the shortest exact JSON number: (4500, 4) is 0.45, (1000, 2) is 10."""
    whole, rest = divmod(abs(value), 10**places)
    sign = "-" if value < 0 else ""
    fraction = f"{rest:0{places}d}".rstrip("0")
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def trade(event: Trade, *, seq: int) -> Message:
    """`seq` is JetStream's stream sequence."""
    text = (
        f'{{"type":"trade","ticker":{json.dumps(event.ticker)},"price":{decimal(event.price_e4, 4)},'
        f'"size":{decimal(event.size_e2, 2)},"side":"{event.side.value}","ts":{_ts(event.venue_ns, event.origin)},'
        f'"trade_id":{json.dumps(event.trade_id)},"block":{"true" if event.is_block else "false"},'
        f"{_identity(event.origin, seq)}}}"
    )
    return Message("trade", text)


def orderbook(
    ticker: str,
    *,
    bids: Iterable[Level],
    asks: Iterable[Level],
    venue_ns: int | None,
    origin: Origin,
    seq: int,
) -> Message:
    """The whole book, best levels first; `origin` and `seq` are those of the last change in it."""
    text = (
        f'{{"type":"orderbook","ticker":{json.dumps(ticker)},"bids":{_levels(bids)},"asks":{_levels(asks)},'
        f'"ts":{_ts(venue_ns, origin)},{_identity(origin, seq)}}}'
    )
    return Message("orderbook", text)


def book_state(ticker: str, *, why: str) -> Message:
    """This book is not known now; a whole `orderbook` follows as soon as it is."""
    return _message("book_state", ticker=ticker, state="unknown", message=why)


def gap(notice: GapNotice, *, seq: int) -> Message:
    """Frames were lost on the way from the exchange; empty `tickers`: any market may have lost something."""
    unpublished = {"unpublished": list(notice.unpublished)} if notice.unpublished else {}
    return _message(
        "gap",
        cause=notice.cause,
        tickers=list(notice.tickers),
        from_ns=notice.from_ns,
        to_ns=notice.to_ns,
        planned=notice.is_planned,
        session=notice.session,
        number=notice.number,
        **unpublished,
        note=notice.note,
        seq=seq,
    )


def stream_hole(first_seq: int, last_seq: int) -> Message:
    """The bus no longer had these messages when they were to be read."""
    note = "The bus no longer holds these messages: trades among them were not sent; books follow anew."
    return _message("gap", cause="stream_hole", tickers=[], first_seq=first_seq, last_seq=last_seq, note=note)


def status(state: str, *, why: str = "") -> Message:
    """Whether what is sent is up to date: `live` or `stale`."""
    return _message("status", state=state, **({"message": why} if why else {}))


def heartbeat(*, now_ms: int, state: str, seq: int) -> Message:
    """Nothing else was sent for a while; the connection stands."""
    return _message("heartbeat", ts=now_ms, state=state, seq=seq)


def acknowledged(
    action: str,
    symbols: Iterable[str],
    channels: Iterable[str],
    *,
    request_id: str | int | None,
    about: Mapping[str, Any],
) -> Message:
    """The answer to a request: these symbols are (un)subscribed."""
    named = {} if request_id is None else {"id": request_id}
    return _message(f"{action}d", symbols=list(symbols), channels=list(channels), **named, **about)


def error(problem: Problem, *, request_id: str | int | None = None) -> Message:
    """What is wrong, by number and in words."""
    named = {} if request_id is None else {"id": request_id}
    symbol = {} if problem.symbol is None else {"symbol": problem.symbol}
    code = problem.code
    return _message(
        "error", code=int(code), error=code.name.lower(), message=problem.message, **symbol, **named
    )


def closing(code: int, *, why: str, unsent: Mapping[str, int]) -> Message:
    """The last message before the gateway closes: what was dropped is counted, by type."""
    return _message("closing", code=code, message=why, unsent=dict(unsent))


def _message(kind: str, **content: Any) -> Message:
    return Message(kind, json.dumps({"type": kind, **content}, separators=(",", ":")))


def _ts(venue_ns: int | None, origin: Origin) -> int:
    return (origin.received_ns if venue_ns is None else venue_ns) // _MS


def _identity(origin: Origin, seq: int) -> str:
    return f'"seq":{seq},"id":{json.dumps(origin.identity)},"recv_ns":{origin.received_ns}'


def _levels(levels: Iterable[Level]) -> str:
    return (
        "["
        + ",".join(f"[{decimal(level.price_e4, 4)},{decimal(level.size_e2, 2)}]" for level in levels)
        + "]"
    )

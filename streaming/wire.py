"""Events to and from Cap'n Proto messages, by capnp/market_data.v2.capnp."""

from collections.abc import Callable
from typing import Any

import capnp

from streaming.encoding import encode
from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Event,
    GapNotice,
    Level,
    MarketStatus,
    Origin,
    Source,
    Status,
    TakerSide,
    Ticker,
    Trade,
)
from streaming.wire_schema import (
    CHECKPOINT,
    DELTA,
    FAULTS,
    MESSAGES,
    NONE,
    SCHEMA_FOLDER,
    WireError,
    whole_contracts,
)

__all__ = ["SCHEMA_FOLDER", "WireError", "decode", "encode", "opened", "whole_contracts"]

# What may be read of a message: twice its own size, so that pointers to the same words again and again lead nowhere.
# The largest frame (16 MiB) holds levels of ten bytes, which are three words each: anything above is not ours.
_LEAST_WORDS, _MOST_WORDS = 65_536, 64 * 1024 * 1024 // 8
_NESTING = 8


def decode(token: str, payload: bytes) -> Event:
    """The event of a message that came on a subject with this second token; raises WireError."""
    if token not in _DECODERS:
        raise WireError(f"no events of ours are on subjects with {token!r}")
    struct, read = _DECODERS[token]
    try:
        with _message(struct, payload) as message:
            return read(message)
    except (capnp.KjException, ValueError, KeyError, AttributeError) as error:
        raise WireError(f"not a {struct}: {error}") from error


def opened(token: str, payload: bytes) -> Any:
    """The message itself, as a context manager, for whoever needs little of it; raises WireError."""
    if token not in _DECODERS:
        raise WireError(f"no events of ours are on subjects with {token!r}")
    return _message(_DECODERS[token][0], payload)


def _message(struct: str, payload: bytes) -> Any:
    words = min(max(_LEAST_WORDS, len(payload) // 4), _MOST_WORDS)
    return getattr(MESSAGES, struct).from_bytes(
        payload, traversal_limit_in_words=words, nesting_limit=_NESTING
    )


def _read_trade(message: Any) -> Trade:
    return Trade(
        ticker=message.ticker, trade_id=message.tradeId, price_e4=message.priceE4, size_e2=message.sizeE2,
        side=TakerSide(str(message.side)), venue_ns=_venue_ns(message), origin=_read_origin(message.origin),
        is_block=message.blockTrade,
    )  # fmt: skip


def _read_book(message: Any) -> BookSnapshot | BookDelta:
    if message.kind.raw == DELTA:
        return _read_delta(message)
    return BookSnapshot(
        ticker=message.ticker, bids=_read_levels(message.bids), asks=_read_levels(message.asks),
        venue_ns=_venue_ns(message), origin=_read_origin(message.origin), market_id=message.marketId,
        is_checkpoint=message.kind.raw == CHECKPOINT, is_requested=message.requested,
    )  # fmt: skip


def _read_delta(message: Any) -> BookDelta:
    change = message.change
    return BookDelta(
        ticker=message.ticker, side=BookSide.ASK if change.bookSide.raw else BookSide.BID,
        price_e4=change.priceE4, delta_e2=change.deltaE2, size_e2=change.sizeE2 if change.sizeKnown else None,
        venue_ns=_venue_ns(message), origin=_read_origin(message.origin), market_id=message.marketId,
    )  # fmt: skip


def _read_status(message: Any) -> MarketStatus:
    return MarketStatus(
        ticker=message.ticker, status=Status(str(message.status)), venue_ns=_venue_ns(message),
        origin=_read_origin(message.origin), by_clock=message.byClock, result=message.result,
        settlement_e4=_there(message.settlementValueE4), open_ns=message.openTime or None,
        close_ns=message.closeTime or None, venue_event=message.venueEvent,
        details=message.details,
    )  # fmt: skip


def _read_ticker(message: Any) -> Ticker:
    return Ticker(
        ticker=message.ticker, last_e4=_there(message.lastPriceE4), bid_e4=_there(message.bidE4),
        ask_e4=_there(message.askE4), bid_size_e2=_there(message.bidSizeE2), ask_size_e2=_there(message.askSizeE2),
        last_size_e2=_there(message.lastSizeE2), volume_e2=_there(message.volumeE2), open_interest_e2=_there(message.openInterestE2),
        venue_ns=_venue_ns(message), origin=_read_origin(message.origin), market_id=message.marketId,
    )  # fmt: skip


def _read_gap(message: Any) -> GapNotice:
    unpublished = (message.unpublishedFrom, message.unpublishedTo)
    return GapNotice(
        cause=message.cause, session=message.session, number=message.number, connection=message.connection,
        from_ns=message.timestamp, to_ns=message.endTimestamp or None, sid=message.sid,
        tickers=tuple(message.tickers), is_planned=message.planned,
        unpublished=unpublished if unpublished[1] else None, note=message.note, after_n=message.afterN, is_healable=message.healable, channel=message.channel,
        fault=FAULTS[message.fault.raw] if message.fault.raw < len(FAULTS) else FAULTS[0],
    )  # fmt: skip


_DECODERS: dict[str, tuple[str, Callable[[Any], Event]]] = {
    "trade": ("Trade", _read_trade),
    "orderbook": ("OrderBookUpdate", _read_book),
    "checkpoint": ("OrderBookUpdate", _read_book),
    "status": ("MarketStatus", _read_status),
    "ticker": ("Ticker", _read_ticker),
    "gap": ("Gap", _read_gap),
}


def _there(value: int) -> int | None:
    return None if value == NONE else value


def _venue_ns(message: Any) -> int | None:
    return message.timestamp if message.origin.venueTime else None


def _read_levels(levels: Any) -> tuple[Level, ...]:
    return tuple(Level(level.priceE4, level.sizeE2) for level in levels)


def _read_origin(origin: Any) -> Origin:
    return Origin(
        session=origin.session, n=origin.n, k=origin.k, received_ns=origin.receivedNs,
        connection=origin.connection, sid=origin.sid, seq=origin.seq, sent_ms=origin.sentMs,
        source=Source.REST if origin.source.raw else Source.STREAM, is_overlap=origin.overlap,
    )  # fmt: skip

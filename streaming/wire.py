"""Events to and from Cap'n Proto messages, by capnp/market_data.v2.capnp."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import capnp

from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Event,
    GapNotice,
    Level,
    MarketStatus,
    Origin,
    Status,
    TakerSide,
    Ticker,
    Trade,
)

capnp.remove_import_hook()

SCHEMA_FOLDER = Path(__file__).resolve().parent.parent / "capnp"
# A parser of its own for each file: v1 and v2 share one file id.
_schema: Any = capnp.SchemaParser().load(str(SCHEMA_FOLDER / "market_data.v2.capnp"))

# 512 KiB a message: books of a few thousand levels; anything larger is not ours.
_LIMITS = {"traversal_limit_in_words": 65_536, "nesting_limit": 8}
_NONE = -1  # of prices and values that are not there
_SNAPSHOT, _DELTA, _CHECKPOINT = 0, 1, 2  # BookUpdateKind


class WireError(ValueError):
    """These bytes are not the message they should be."""


def encode(event: Event) -> bytes:
    """The event as one Cap'n Proto message of its struct; raises WireError where a value does not fit."""
    try:
        return _ENCODERS[type(event)](event)
    except (capnp.KjException, OverflowError, ValueError) as error:
        raise WireError(f"no {type(event).__name__} of ours: {str(error)[:300]}") from error


def _encode_trade(event: Trade) -> bytes:
    message = _schema.Trade.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.price = event.price_e4 / 10_000
    message.size = whole_contracts(event.size_e2)
    message.side = event.side.value
    message.tradeId = event.trade_id
    message.priceE4 = event.price_e4
    message.sizeE2 = event.size_e2
    message.blockTrade = event.is_block
    return bytes(message.to_bytes())


def _encode_snapshot(event: BookSnapshot) -> bytes:
    message = _schema.OrderBookUpdate.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.marketId = event.market_id
    message.kind = _CHECKPOINT if event.is_checkpoint else _SNAPSHOT
    _set_levels(message.init("bids", len(event.bids)), event.bids)
    _set_levels(message.init("asks", len(event.asks)), event.asks)
    return bytes(message.to_bytes())


def _encode_delta(event: BookDelta) -> bytes:
    message = _schema.OrderBookUpdate.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.marketId = event.market_id
    message.kind = _DELTA
    change = message.init("change")
    is_bid = event.side is BookSide.BID
    change.bookSide = 0 if is_bid else 1
    change.priceE4 = event.price_e4
    change.deltaE2 = event.delta_e2
    if event.size_e2 is not None:
        change.sizeE2 = event.size_e2
        change.sizeKnown = True
        _set_levels(message.init("bids" if is_bid else "asks", 1), (Level(event.price_e4, event.size_e2),))
    return bytes(message.to_bytes())


def _encode_status(event: MarketStatus) -> bytes:
    message = _schema.MarketStatus.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.status = event.status.value
    message.byClock = event.by_clock
    message.result = event.result
    message.settlementValueE4 = _or_none(event.settlement_e4)
    message.openTime = event.open_ns or 0
    message.closeTime = event.close_ns or 0
    message.venueEvent = event.venue_event
    return bytes(message.to_bytes())


def _encode_ticker(event: Ticker) -> bytes:
    message = _schema.Ticker.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.lastPriceE4 = _or_none(event.last_e4)
    message.bidE4 = _or_none(event.bid_e4)
    message.askE4 = _or_none(event.ask_e4)
    message.bidSizeE2 = event.bid_size_e2
    message.askSizeE2 = event.ask_size_e2
    message.lastSizeE2 = event.last_size_e2
    message.volumeE2 = event.volume_e2
    message.openInterestE2 = event.open_interest_e2
    message.marketId = event.market_id
    return bytes(message.to_bytes())


def _encode_gap(event: GapNotice) -> bytes:
    message = _schema.Gap.new_message(
        timestamp=event.from_ns, endTimestamp=event.to_ns or 0, cause=event.cause, session=event.session,
        number=event.number, connection=event.connection, sid=event.sid, tickers=list(event.tickers),
        planned=event.is_planned, note=event.note,
    )  # fmt: skip
    if event.unpublished:
        message.unpublishedFrom, message.unpublishedTo = event.unpublished
    return bytes(message.to_bytes())


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Trade: _encode_trade,
    BookSnapshot: _encode_snapshot,
    BookDelta: _encode_delta,
    MarketStatus: _encode_status,
    Ticker: _encode_ticker,
    GapNotice: _encode_gap,
}


def whole_contracts(size_e2: int) -> int:
    """v1's size: rounded up, since half a contract must not read as 0 = gone; capped where UInt32 ends."""
    return min(-(-size_e2 // 100), 0xFFFF_FFFF)


def _or_none(value: int | None) -> int:
    return _NONE if value is None else value


def _set_time(message: Any, venue_ns: int | None, origin: Origin) -> None:
    message.timestamp = origin.received_ns if venue_ns is None else venue_ns
    target = message.init("origin")
    target.session = origin.session
    target.n = origin.n
    target.k = origin.k
    target.receivedNs = origin.received_ns
    target.connection = origin.connection
    target.sid = origin.sid
    target.seq = origin.seq
    target.sentMs = origin.sent_ms
    target.venueTime = venue_ns is not None


def _set_levels(target: Any, levels: tuple[Level, ...]) -> None:
    for index, level in enumerate(levels):
        slot = target[index]
        slot.price = level.price_e4 / 10_000
        slot.size = whole_contracts(level.size_e2)
        slot.priceE4 = level.price_e4
        slot.sizeE2 = level.size_e2


def decode(token: str, payload: bytes) -> Event:
    """The event of a message that came on a subject with this second token; raises WireError."""
    if token not in _DECODERS:
        raise WireError(f"no events of ours are on subjects with {token!r}")
    struct, read = _DECODERS[token]
    try:
        with getattr(_schema, struct).from_bytes(payload, **_LIMITS) as message:
            return read(message)
    except (capnp.KjException, ValueError, KeyError, AttributeError) as error:
        raise WireError(f"not a {struct}: {error}") from error


class Glance(NamedTuple):
    """What sorting a message needs: its origin (a v1 message has none: 0, "", 0) and what its subject must end in."""

    received_ns: int
    session: str
    n: int
    address: str


def glance(token: str, payload: bytes) -> Glance:
    """The like of `decode`, at a third of its cost: every pointer is checked, few fields are read; raises WireError."""
    if token not in _DECODERS:
        raise WireError(f"no events of ours are on subjects with {token!r}")
    struct, _ = _DECODERS[token]
    try:
        with getattr(_schema, struct).from_bytes(payload, **_LIMITS) as message:
            message.total_size  # noqa: B018  # walks the whole message
            if token == "gap":  # noqa: S105
                at = message.endTimestamp or message.timestamp
                return Glance(at, message.session, message.number, message.cause)
            origin = message.origin
            return Glance(origin.receivedNs, origin.session, origin.n, message.ticker)
    except (capnp.KjException, ValueError, AttributeError) as error:
        raise WireError(f"not a {struct}: {str(error)[:300]}") from error


def _read_trade(message: Any) -> Trade:
    return Trade(
        ticker=message.ticker, trade_id=message.tradeId, price_e4=message.priceE4, size_e2=message.sizeE2,
        side=TakerSide(str(message.side)), venue_ns=_venue_ns(message), origin=_read_origin(message.origin),
        is_block=message.blockTrade,
    )  # fmt: skip


def _read_book(message: Any) -> BookSnapshot | BookDelta:
    if message.kind.raw == _DELTA:
        return _read_delta(message)
    return BookSnapshot(
        ticker=message.ticker, bids=_read_levels(message.bids), asks=_read_levels(message.asks),
        venue_ns=_venue_ns(message), origin=_read_origin(message.origin), market_id=message.marketId,
        is_checkpoint=message.kind.raw == _CHECKPOINT,
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
    )  # fmt: skip


def _read_ticker(message: Any) -> Ticker:
    return Ticker(
        ticker=message.ticker, last_e4=_there(message.lastPriceE4), bid_e4=_there(message.bidE4),
        ask_e4=_there(message.askE4), bid_size_e2=message.bidSizeE2, ask_size_e2=message.askSizeE2,
        last_size_e2=message.lastSizeE2, volume_e2=message.volumeE2, open_interest_e2=message.openInterestE2,
        venue_ns=_venue_ns(message), origin=_read_origin(message.origin), market_id=message.marketId,
    )  # fmt: skip


def _read_gap(message: Any) -> GapNotice:
    unpublished = (message.unpublishedFrom, message.unpublishedTo)
    return GapNotice(
        cause=message.cause, session=message.session, number=message.number, connection=message.connection,
        from_ns=message.timestamp, to_ns=message.endTimestamp or None, sid=message.sid,
        tickers=tuple(message.tickers), is_planned=message.planned,
        unpublished=unpublished if unpublished[1] else None, note=message.note,
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
    return None if value == _NONE else value


def _venue_ns(message: Any) -> int | None:
    return message.timestamp if message.origin.venueTime else None


def _read_levels(levels: Any) -> tuple[Level, ...]:
    return tuple(Level(level.priceE4, level.sizeE2) for level in levels)


def _read_origin(origin: Any) -> Origin:
    return Origin(
        session=origin.session, n=origin.n, k=origin.k, received_ns=origin.receivedNs,
        connection=origin.connection, sid=origin.sid, seq=origin.seq, sent_ms=origin.sentMs,
    )  # fmt: skip

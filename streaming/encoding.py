"""Events as Cap'n Proto messages, by capnp/market_data.v2.capnp."""

import struct
from collections.abc import Callable
from typing import Any

import capnp

from streaming.delta_message import encode_delta
from streaming.events import (
    BookDelta,
    BookSnapshot,
    Event,
    GapNotice,
    Level,
    MarketStatus,
    Origin,
    Ticker,
    Trade,
)
from streaming.wire_schema import CHECKPOINT, FAULTS, MESSAGES, NONE, SNAPSHOT, WireError, whole_contracts


def encode(event: Event) -> bytes:
    """The event as one Cap'n Proto message of its struct; raises WireError where a value does not fit."""
    try:
        return _ENCODERS[type(event)](event)
    except (capnp.KjException, struct.error, OverflowError, ValueError) as error:
        raise WireError(f"no {type(event).__name__} of ours: {str(error)[:300]}") from error


def _encode_trade(event: Trade) -> bytes:
    message = MESSAGES.Trade.new_message()
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
    message = MESSAGES.OrderBookUpdate.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.marketId = event.market_id
    message.kind = CHECKPOINT if event.is_checkpoint else SNAPSHOT
    message.requested = event.is_requested
    _set_levels(message.init("bids", len(event.bids)), event.bids)
    _set_levels(message.init("asks", len(event.asks)), event.asks)
    return bytes(message.to_bytes())


def _encode_status(event: MarketStatus) -> bytes:
    message = MESSAGES.MarketStatus.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.status = event.status.value
    message.byClock = event.by_clock
    message.result = event.result
    message.settlementValueE4 = _or_none(event.settlement_e4)
    message.openTime = event.open_ns or 0
    message.closeTime = event.close_ns or 0
    message.venueEvent = event.venue_event
    message.details = event.details
    return bytes(message.to_bytes())


def _encode_ticker(event: Ticker) -> bytes:
    message = MESSAGES.Ticker.new_message()
    _set_time(message, event.venue_ns, event.origin)
    message.ticker = event.ticker
    message.lastPriceE4 = _or_none(event.last_e4)
    message.bidE4 = _or_none(event.bid_e4)
    message.askE4 = _or_none(event.ask_e4)
    message.bidSizeE2 = _or_none(event.bid_size_e2)
    message.askSizeE2 = _or_none(event.ask_size_e2)
    message.lastSizeE2 = _or_none(event.last_size_e2)
    message.volumeE2 = _or_none(event.volume_e2)
    message.openInterestE2 = _or_none(event.open_interest_e2)
    message.marketId = event.market_id
    return bytes(message.to_bytes())


def _encode_gap(event: GapNotice) -> bytes:
    message = MESSAGES.Gap.new_message(
        timestamp=event.from_ns, endTimestamp=event.to_ns or 0, cause=event.cause, session=event.session,
        number=event.number, connection=event.connection, sid=event.sid, tickers=list(event.tickers),
        planned=event.is_planned, note=event.note, afterN=event.after_n, healable=event.is_healable, channel=event.channel,
        fault=FAULTS.index(event.fault) if event.fault in FAULTS else 0,
    )  # fmt: skip
    if event.unpublished:
        message.unpublishedFrom, message.unpublishedTo = event.unpublished
    return bytes(message.to_bytes())


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Trade: _encode_trade,
    BookSnapshot: _encode_snapshot,
    BookDelta: encode_delta,
    MarketStatus: _encode_status,
    Ticker: _encode_ticker,
    GapNotice: _encode_gap,
}


def _or_none(value: int | None) -> int:
    return NONE if value is None else value


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
    target.source = origin.source.value
    target.overlap = origin.is_overlap


def _set_levels(target: Any, levels: tuple[Level, ...]) -> None:
    for index, level in enumerate(levels):
        slot = target[index]
        slot.price = level.price_e4 / 10_000
        slot.size = whole_contracts(level.size_e2)
        slot.priceE4 = level.price_e4
        slot.sizeE2 = level.size_e2

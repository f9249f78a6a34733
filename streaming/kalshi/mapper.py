"""Frames to events, one by one and without memory: what a frame says, nothing that it implies."""

from collections.abc import Callable
from typing import Any

import msgspec

from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Level,
    MarketEvent,
    MarketStatus,
    Origin,
    Status,
    TakerSide,
    Ticker,
    Trade,
)
from streaming.kalshi import messages, numbers
from streaming.kalshi.numbers import DOLLAR_E4, size_e2
from streaming.records import Record

_MS, _S = 1_000_000, 1_000_000_000


class Unmappable(ValueError):
    """A frame of a known type that does not hold what it should."""


class Mapper:
    """Maps one session's frames; `use_yes_price` is what the session asked for when it subscribed."""

    def __init__(self, *, session: str, use_yes_price: bool) -> None:
        self._session = session
        self._use_yes_price = use_yes_price

    def map(self, record: Record, envelope: messages.Envelope) -> MarketEvent | None:
        """The frame's event; None for frames that hold none; raises Unmappable."""
        reader = _READERS.get(envelope.type)
        if reader is None:
            return None
        decoder, build = reader
        try:
            return build(self, decoder.decode(envelope.msg), self._origin(record, envelope))
        except (ValueError, RecursionError) as error:  # msgspec's DecodeError and NotExact among them
            raise Unmappable(f"{envelope.type}: {error}") from error

    def _origin(self, record: Record, envelope: messages.Envelope) -> Origin:
        return Origin(
            self._session,
            record.n,
            0,
            record.received_ns,
            record.connection,
            envelope.sid or 0,
            envelope.seq or 0,
            envelope.sending_ts_ms or 0,
        )

    def _snapshot(self, message: messages.Snapshot, origin: Origin) -> BookSnapshot:
        bids = [Level(_price_e4(price), _size_e2(size)) for price, size in message.yes_dollars_fp]
        asks = [Level(self._ask_e4(price), _size_e2(size)) for price, size in message.no_dollars_fp]
        return BookSnapshot(
            ticker=message.market_ticker,
            market_id=message.market_id,
            bids=tuple(sorted(bids, key=_price, reverse=True)),
            asks=tuple(sorted(asks, key=_price)),
            venue_ns=None,
            origin=origin,
        )

    def _delta(self, message: messages.Delta, origin: Origin) -> BookDelta:
        is_bid = _outcome(message.side) == "yes"
        return BookDelta(
            ticker=message.market_ticker,
            market_id=message.market_id,
            side=BookSide.BID if is_bid else BookSide.ASK,
            price_e4=_price_e4(message.price_dollars) if is_bid else self._ask_e4(message.price_dollars),
            delta_e2=size_e2(message.delta_fp),
            size_e2=None,
            venue_ns=_ms(message.ts_ms),
            origin=origin,
        )

    def _ask_e4(self, price: str) -> int:
        return _price_e4(price) if self._use_yes_price else DOLLAR_E4 - _price_e4(price)

    def _trade(self, message: messages.TradeMessage, origin: Origin) -> Trade:
        taker = _outcome(message.taker_outcome_side or message.taker_side)
        return Trade(
            ticker=message.market_ticker,
            trade_id=message.trade_id,
            price_e4=_price_e4(message.yes_price_dollars),
            size_e2=_size_e2(message.count_fp),
            side=TakerSide.BUY if taker == "yes" else TakerSide.SELL,
            venue_ns=_trade_time(message),
            origin=origin,
            is_block=message.is_block_trade,
        )

    def _ticker(self, message: messages.TickerMessage, origin: Origin) -> Ticker:
        return Ticker(
            ticker=message.market_ticker,
            market_id=message.market_id,
            last_e4=_positive(message.price_dollars),
            bid_e4=_positive(message.yes_bid_dollars),
            ask_e4=None if _size_e2(message.yes_ask_size_fp) == 0 else _positive(message.yes_ask_dollars),
            bid_size_e2=_size_e2(message.yes_bid_size_fp),
            ask_size_e2=_size_e2(message.yes_ask_size_fp),
            last_size_e2=_size_e2(message.last_trade_size_fp),
            volume_e2=_size_e2(message.volume_fp),
            open_interest_e2=_size_e2(message.open_interest_fp),
            venue_ns=_ms(message.ts_ms),
            origin=origin,
        )

    def _lifecycle(self, message: messages.Lifecycle, origin: Origin) -> MarketStatus:
        return MarketStatus(
            ticker=message.market_ticker,
            status=_status(message),
            venue_ns=_seconds(message.determination_ts or message.settled_ts),
            origin=origin,
            result=message.result or "",
            settlement_e4=_settlement_e4(message.settlement_value),
            open_ns=_seconds(message.open_ts),
            close_ns=_seconds(message.close_ts),
            venue_event=message.event_type,
        )


_READERS: dict[str, tuple[msgspec.json.Decoder[Any], Callable[[Mapper, Any, Origin], MarketEvent]]] = {
    "orderbook_snapshot": (msgspec.json.Decoder(messages.Snapshot), Mapper._snapshot),
    "orderbook_delta": (msgspec.json.Decoder(messages.Delta), Mapper._delta),
    "trade": (msgspec.json.Decoder(messages.TradeMessage), Mapper._trade),
    "ticker": (msgspec.json.Decoder(messages.TickerMessage), Mapper._ticker),
    "market_lifecycle_v2": (msgspec.json.Decoder(messages.Lifecycle), Mapper._lifecycle),
}


def _price_e4(text: str) -> int:
    """A price of a contract that pays one dollar."""
    price = numbers.price_e4(text)
    if not 0 <= price <= DOLLAR_E4:
        raise ValueError(f"a price lies between 0 and 1 dollar, not at {text!r}")
    return price


def _size_e2(text: str) -> int:
    size = size_e2(text)
    if size < 0:
        raise ValueError(f"less than nothing: {text!r}")
    return size


def _settlement_e4(value: object) -> int | None:
    """None where it cannot be read: a changed format of this field must not hide the result and the time."""
    if value is None:
        return None
    try:
        settled = numbers.price_e4(str(value))
    except numbers.NotExact:
        return None
    return settled if settled >= 0 else None


def _trade_time(message: messages.TradeMessage) -> int | None:
    if message.ts_ms is not None:
        return _ms(message.ts_ms)
    is_seconds = type(message.ts) is int and 0 <= message.ts <= 10**10
    return _seconds(message.ts) if is_seconds else None


def _price(level: Level) -> int:
    return level.price_e4


def _outcome(side: str) -> str:
    if side not in ("yes", "no"):
        raise ValueError(f"a side is yes or no, not {side!r}")
    return side


def _ms(ts_ms: int | None) -> int | None:
    return None if ts_ms is None else ts_ms * _MS


def _seconds(ts: int | None) -> int | None:
    return None if ts is None else ts * _S


def _positive(price: str) -> int | None:
    """No such price is sent as "" or "0.0000"."""
    return (_price_e4(price) or None) if price else None


def _status(message: messages.Lifecycle) -> Status:
    match message.event_type:
        case "created":
            return Status.CREATED
        case "activated" | "deactivated":
            return Status.HALTED if message.is_deactivated else Status.OPEN
        case "determined":
            return Status.DETERMINED
        case "settled":
            return Status.SETTLED
        case (
            "close_date_updated"
            | "metadata_updated"
            | "price_level_structure_updated"
            | "fractional_trading_updated"
        ):
            return Status.CHANGED
        case _:
            return Status.UNKNOWN

"""Frames to events, one by one and without memory: what a frame says, nothing that it implies.

Numbers are read from their exact form where a frame has it, else from cents; a form that is not the expected one of
that day's wire is told as drift, not refused.
"""

from collections.abc import Callable, Mapping
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
    Source,
    Status,
    TakerSide,
    Ticker,
    Trade,
)
from streaming.issues import IssueKind
from streaming.kalshi import messages, numbers
from streaming.kalshi.forms import Forms
from streaming.kalshi.lifecycle import status_of
from streaming.kalshi.messages import Frame
from streaming.kalshi.numbers import DOLLAR_E4, change_e2
from streaming.kalshi.tolerant import Unmappable
from streaming.kalshi.wires import FIXED_POINT, Wire
from streaming.records import Record

__all__ = ["Mapper", "Unmappable"]

_MS, _S = 1_000_000, 1_000_000_000
_MOST_SKEW = 3_600 * _S  # in bursts the venue's frames are late by seconds
_TAKERS = {"yes": TakerSide.BUY, "no": TakerSide.SELL, "bid": TakerSide.BUY, "ask": TakerSide.SELL}


class Mapper:
    """Maps one session's frames; `use_yes_price` is what the session asked for when it subscribed.

    `noted` gathers what was odd in frames that were mapped all the same, until somebody takes it.
    """

    def __init__(self, *, session: str, use_yes_price: bool, wire: Wire = FIXED_POINT) -> None:
        self.noted: list[tuple[IssueKind, str]] = []
        self._forms = Forms(wire, self.noted)
        self._session = session
        self._use_yes_price = use_yes_price
        self._wants_cents = wire.has_cents

    def map(self, record: Record, frame: Frame) -> MarketEvent:
        """The frame's event; raises Unmappable."""
        origin = Origin(
            self._session, record.n, 0, record.received_ns, record.connection,
            frame.sid or 0, frame.seq or 0, frame.sending_ts_ms or 0,
        )  # fmt: skip
        try:
            return _BUILDERS[type(frame)](self, frame, origin)
        except numbers.OffGrid as error:
            raise Unmappable(str(error), kind=IssueKind.OFF_GRID_PRICE) from error
        except numbers.NotExact as error:
            raise Unmappable(str(error)) from error

    # -- books ------------------------------------------------------------------------------------

    def _snapshot(self, frame: messages.SnapshotFrame, origin: Origin) -> BookSnapshot:
        message = frame.msg
        bids = self._forms.levels(message.yes_dollars_fp, message.yes_dollars, message.yes)
        asks = self._forms.levels(message.no_dollars_fp, message.no_dollars, message.no)
        if not self._use_yes_price:
            asks = [Level(DOLLAR_E4 - level.price_e4, level.size_e2) for level in asks]
        for side in (bids, asks):
            if len({level.price_e4 for level in side}) < len(
                side
            ):  # which of its sizes rests there is not told
                raise Unmappable(f"a price stands twice among {len(side)} levels")
        return BookSnapshot(
            ticker=message.market_ticker,
            market_id=message.market_id,
            bids=tuple(sorted(bids, key=_price, reverse=True)),
            asks=tuple(sorted(asks, key=_price)),
            venue_ns=None,
            origin=origin,
            is_requested=frame.id is not None,
        )

    def _delta(self, frame: messages.DeltaFrame, origin: Origin) -> BookDelta:
        message = frame.msg
        is_bid = message.side == "yes"
        if not is_bid and message.side != "no":
            raise Unmappable(f"side: yes or no, not {message.side[:40]!r}")
        price = self._forms.price(message.price_dollars, message.price, "price_dollars")
        if message.delta_fp is None or self._wants_cents:
            change = self._forms.size(message.delta_fp, message.delta, "delta")
        else:
            change = change_e2(message.delta_fp)
        if not (is_bid or self._use_yes_price):
            price = DOLLAR_E4 - price
        return BookDelta(
            message.market_ticker, BookSide.BID if is_bid else BookSide.ASK, price, change, None,
            self._venue_ns(message.ts_ms, message.ts, origin), origin, message.market_id,
        )  # fmt: skip

    def _venue_ns(self, ts_ms: int | None, older: object, origin: Origin) -> int | None:
        """The venue's own time of an event, noted where it cannot be the time of this one."""
        at_ns = self._forms.time(older) if ts_ms is None else ts_ms * _MS
        if at_ns is not None and not -_MOST_SKEW <= at_ns - origin.received_ns <= _MOST_SKEW:
            self.noted.append((IssueKind.TIME_SKEW, f"{at_ns} ns, received at {origin.received_ns} ns"))
        return at_ns

    # -- trades and summaries -----------------------------------------------------------------------

    def _trade(self, frame: messages.TradeFrame, origin: Origin) -> Trade:
        message = frame.msg
        return Trade(
            ticker=message.market_ticker,
            trade_id=message.trade_id,
            price_e4=self._trade_price(message),
            size_e2=self._trade_size(message),
            side=self._taker(message),
            venue_ns=self._venue_ns(message.ts_ms, message.ts, origin),
            origin=origin,
            is_block=message.is_block_trade,
        )

    def rest_trade(self, record: Record, k: int, row: Mapping[str, Any]) -> Trade:
        """A trade as REST tells it (kalshi.md 4.4); raises Unmappable."""
        told = {**row, "market_ticker": row.get("ticker"), "ts": row.get("created_time")}
        told.pop("ts_ms", None)
        origin = Origin(self._session, record.n, k, record.received_ns, 0, source=Source.REST)
        try:
            message = msgspec.convert(told, messages.TradeMessage)
            return self._trade(messages.TradeFrame(msg=message), origin)
        except msgspec.ValidationError as error:
            raise Unmappable(str(error)) from error
        except numbers.OffGrid as error:
            raise Unmappable(str(error), kind=IssueKind.OFF_GRID_PRICE) from error
        except numbers.NotExact as error:
            raise Unmappable(str(error)) from error

    def _trade_price(self, message: messages.TradeMessage) -> int:
        """The YES price; where only the NO price is there, what it leaves of a dollar."""
        no = self._forms.optional(message.no_price_dollars, message.no_price, "no_price_dollars")
        if no is not None and message.yes_price_dollars is None and message.yes_price is None:
            self._forms.drift("yes_price_dollars is missing")
            return DOLLAR_E4 - no
        price = self._forms.price(message.yes_price_dollars, message.yes_price, "yes_price_dollars")
        if no is not None and price + no != DOLLAR_E4:
            self._forms.drift(f"yes and no price are not a dollar together: {price} and {no}")
        return price

    def _trade_size(self, message: messages.TradeMessage) -> int:
        size = self._forms.size(message.count_fp, message.count, "count")
        if size < 0:
            raise Unmappable(f"count_fp: less than nothing: {message.count_fp}")
        return size

    def _taker(self, message: messages.TradeMessage) -> TakerSide:
        told = [message.taker_outcome_side, message.taker_side, message.taker_book_side]
        found = [side for side in map(_TAKERS.get, told) if side is not None]
        if not found:
            kind = IssueKind.PARSE_ERROR if any(told) else IssueKind.MISSING_FIELD
            raise Unmappable(f"taker_outcome_side {told!r}", kind=kind)
        if found.count(found[0]) < len([one for one in told if one]):
            self._forms.drift(f"the taker's side is told differently: {told!r}")
        return found[0]

    def _ticker(self, frame: messages.TickerFrame, origin: Origin) -> Ticker:
        message = frame.msg
        self._forms.expect(message.volume_fp, message.volume, "volume")
        ask_size = self._forms.count(message.yes_ask_size_fp, None, "yes_ask_size_fp")
        return Ticker(
            ticker=message.market_ticker,
            market_id=message.market_id,
            last_e4=self._forms.optional(message.price_dollars, message.price, "price_dollars") or None,
            bid_e4=self._forms.optional(message.yes_bid_dollars, message.yes_bid, "yes_bid_dollars") or None,
            ask_e4=self._ask(message, ask_size),
            bid_size_e2=self._forms.count(message.yes_bid_size_fp, None, "yes_bid_size_fp"),
            ask_size_e2=ask_size,
            last_size_e2=self._forms.count(message.last_trade_size_fp, None, "last_trade_size_fp"),
            volume_e2=self._forms.count(message.volume_fp, message.volume, "volume_fp"),
            open_interest_e2=self._forms.count(
                message.open_interest_fp, message.open_interest, "open_interest_fp"
            ),
            venue_ns=self._venue_ns(
                message.ts_ms, message.ts if message.time is None else message.time, origin
            ),
            origin=origin,
        )

    def _ask(self, message: messages.TickerMessage, size_e2: int | None) -> int | None:
        """No offer is written as one dollar of size 0; before there were sizes, as one dollar."""
        ask = self._forms.optional(message.yes_ask_dollars, message.yes_ask, "yes_ask_dollars")
        is_none = not ask or size_e2 == 0 or (size_e2 is None and ask == DOLLAR_E4)
        return None if is_none else ask

    def _lifecycle(self, frame: messages.LifecycleFrame, origin: Origin) -> MarketStatus:
        message = frame.msg
        settled = message.settlement_value  # a string today, a number before
        text = None if settled is None else str(settled)
        status = status_of(message)
        if status is Status.UNKNOWN:
            self.noted.append((IssueKind.WIRE_DRIFT, f"unknown event_type {message.event_type!r}"))
        return MarketStatus(
            ticker=message.market_ticker,
            status=status,
            venue_ns=_seconds(message.determination_ts or message.settled_ts),
            origin=origin,
            result=message.result or "",
            settlement_e4=self._forms.optional(text, None, "settlement_value"),
            open_ns=_seconds(message.open_ts),
            close_ns=_seconds(message.close_ts),
            venue_event=message.event_type,
            details=frame.details,
        )


_BUILDERS: dict[type, Callable[[Mapper, Any, Origin], MarketEvent]] = {
    messages.SnapshotFrame: Mapper._snapshot,
    messages.DeltaFrame: Mapper._delta,
    messages.TradeFrame: Mapper._trade,
    messages.TickerFrame: Mapper._ticker,
    messages.LifecycleFrame: Mapper._lifecycle,
}


def _price(level: Level) -> int:
    return level.price_e4


def _seconds(ts: int | None) -> int | None:
    return None if ts is None else ts * _S

"""A recording lived again: its markets listed, its frames told in order; pure but for reading the files.

A market is `active` until its last frame. Its book is unknown until its first recorded snapshot: until then a
subscriber hears nothing of it, so what a client gets is what was recorded, from the first frame on.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from streaming.kalshi.simulator.book import levels_of, price_e4, size_e2
from streaming.kalshi.simulator.frames import Broadcast, rfc3339
from streaming.kalshi.simulator.market import SETTLEMENT_FIELDS, Market, event_body, price_fields, series_body
from streaming.kalshi.simulator.matching import stable_uuid
from streaming.kalshi.simulator.recording import Contents, Recorded, event_of, read
from streaming.kalshi.simulator.retime import Clock
from streaming.kalshi.simulator.venue import Print, Venue

_DAY_US = 86_400_000_000
# Gone from the venue's answers since these recordings were made (kalshi.md 4.3, 4.6).
_REMOVED_FIELDS = ("liquidity_dollars", "available_on_brokers")


# Frames of the cents era lack these fields; they are told all the same.
class _Snapshot(msgspec.Struct):
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []


class _Delta(msgspec.Struct):
    price_dollars: str = ""
    delta_fp: str = ""
    side: str = ""


class _Trade(msgspec.Struct):
    yes_price_dollars: str = ""
    count_fp: str = ""
    ts_ms: int = 0
    ts: int = 0


_snapshot = msgspec.json.Decoder(_Snapshot).decode
_delta = msgspec.json.Decoder(_Delta).decode
_trade = msgspec.json.Decoder(_Trade).decode


class Replay:
    """The recorded markets of a venue and the frames that are still to be told."""

    def __init__(self, venue: Venue, contents: Contents, *, speed: float, original_times: bool) -> None:
        self._venue, self._contents = venue, contents
        self._clock = Clock(contents.first_ms, contents.cuts, speed=speed, keep=original_times)
        self._bodies = {
            body["ticker"]: body for known in contents.events.values() for body in known["markets"]
        }
        self.tickers = frozenset(contents.last_frame)
        self.frames_told = 0
        self.has_started = False
        for ticker in contents.last_frame:
            self._list(ticker)

    def refresh(self, now_us: int) -> None:
        """Before the start, times in REST are as if it were now."""
        if not self.has_started:
            self._clock.start(now_us)
            for ticker in self.tickers:
                self._venue.markets[ticker].fields = self._fields(ticker, is_over=False)

    def start(self, now_us: int) -> None:
        """The first client is here."""
        self.refresh(now_us)
        self.has_started = True

    def frames(self) -> Iterator[tuple[int, Broadcast]]:
        """Each frame with its due time in µs after the start; the venue's state advances with it."""
        for recorded in read(self._contents.files):
            yield self._clock.elapsed_us(recorded.recv_ms), self._told(recorded)

    def _told(self, frame: Recorded) -> Broadcast:
        self.frames_told += 1
        frame.msg = self._clock.retimed(frame.msg, frame.type)
        market = self._venue.markets.get(frame.ticker)
        if market is not None:
            self._apply(market, frame.type, frame.msg)
            if self._contents.last_frame[market.ticker] == self.frames_told:
                self._finish(market)
        return frame

    def _apply(self, market: Market, kind: bytes, msg: bytes) -> None:
        if kind == b"orderbook_delta":
            change = _delta(msg)
            if market.has_book and change.delta_fp:
                market.book.change(change.side, price_e4(change.price_dollars), size_e2(change.delta_fp))
        elif kind == b"trade":
            trade = _trade(msg)
            if trade.count_fp:
                at_us = (trade.ts_ms or trade.ts * 1000) * 1000
                market.traded(price_e4(trade.yes_price_dollars), size_e2(trade.count_fp), at_us)
                self._venue.trades.append(Print(market.ticker, msg, at_us))
        elif kind == b"orderbook_snapshot":
            whole = _snapshot(msg)
            market.book.replace(levels_of(whole.yes_dollars_fp), levels_of(whole.no_dollars_fp))
            market.has_book = True

    def _finish(self, market: Market) -> None:
        """The last frame is told: REST shows how it ended, as far as that was recorded."""
        market.fields = self._fields(market.ticker, is_over=True)
        market.status = self._bodies.get(market.ticker, {}).get("status", "closed")

    # --- listing --------------------------------------------------------------------------

    def _list(self, ticker: str) -> None:
        event = event_of(ticker)
        known = self._contents.events.get(event, {}).get("event")
        series = known["series_ticker"] if known else ticker.partition("-")[0]
        category = known.get("category", "Other") if known else "Other"
        told = event_body(event, series=series, title=event, category=category)
        if known:
            told = {
                key: value for key, value in self._clock.body(known).items() if key not in _REMOVED_FIELDS
            }
        market = Market(
            ticker=ticker,
            market_id=self._contents.market_ids[ticker] or stable_uuid(ticker),
            event_ticker=event,
            series_ticker=series,
            fields=self._fields(ticker, is_over=False),
            status="active",
            has_book=False,
        )
        self._venue.list_market(
            market, event=told, series=series_body(series, title=series, category=category)
        )

    def _fields(self, ticker: str, *, is_over: bool) -> dict[str, Any]:
        recorded = self._bodies.get(ticker) or self._invented(ticker)
        hidden = _REMOVED_FIELDS if is_over else (*_REMOVED_FIELDS, *SETTLEMENT_FIELDS)
        return self._clock.body({key: value for key, value in recorded.items() if key not in hidden})

    def _invented(self, ticker: str) -> dict[str, Any]:
        opened, closes = self._contents.first_ms * 1000, (self._contents.last_ms + 1000) * 1000
        named = {"ticker": ticker, "event_ticker": event_of(ticker), "title": ticker}
        return {**named, **price_fields("linear_cent"), **_times(opened=opened, closes=closes)}


def _times(*, opened: int, closes: int) -> dict[str, str]:
    return {
        "created_time": rfc3339(opened - _DAY_US), "updated_time": rfc3339(opened - _DAY_US),
        "open_time": rfc3339(opened), "close_time": rfc3339(closes),
        "latest_expiration_time": rfc3339(closes + _DAY_US),
    }  # fmt: skip

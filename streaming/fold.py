"""Events with what a reader of one market needs but no single frame says: resting sizes and checkpoints.

A pure fold over a session's events in order of n; it can be restarted at any checkpoint.
"""

import msgspec

from streaming.book import OrderBook
from streaming.events import BookDelta, BookSnapshot, MarketEvent, Origin

CHECKPOINT_EVERY = 256  # deltas of one market
_DAY_NS = 86_400 * 1_000_000_000


class _Market:
    __slots__ = ("book", "day", "deltas")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.deltas = 0
        self.day = -1


class Fold:
    """Keeps every market's book; `apply` completes a delta and adds a checkpoint where one is due.

    A checkpoint is due after every snapshot, at a market's first book event of a UTC day (of receive time) and
    every 256 deltas, while the book is known.
    """

    def __init__(self) -> None:
        self._markets: dict[str, _Market] = {}

    def apply(self, event: MarketEvent) -> list[MarketEvent]:
        """The event, completed, and what follows from it (k counts on)."""
        match event:
            case BookSnapshot():
                return self._snapshot(event)
            case BookDelta():
                return self._delta(event)
            case _:
                return [event]

    def book(self, ticker: str) -> OrderBook | None:
        """The market's book as it stands; None before its first event."""
        market = self._markets.get(ticker)
        return market.book if market else None

    @property
    def tickers(self) -> list[str]:
        """The markets that were seen and not dropped."""
        return sorted(self._markets)

    def forget(self, tickers: list[str] | None = None) -> None:
        """Frames were lost: the books of these markets (None: of all) are unknown until their next snapshot."""
        for ticker in self._markets if tickers is None else tickers:
            if ticker in self._markets:
                self._markets[ticker].book.forget()

    def drop(self, ticker: str) -> None:
        """The market is over; keep nothing of it."""
        self._markets.pop(ticker, None)

    def _snapshot(self, event: BookSnapshot) -> list[MarketEvent]:
        market = self._market(event.ticker)
        market.book.replace(event)
        return [event, self._checkpoint(market, event)]

    def _delta(self, event: BookDelta) -> list[MarketEvent]:
        market = self._market(event.ticker)
        size = market.book.change(event)
        if size is None:
            return [event]
        completed = msgspec.structs.replace(event, size_e2=size)
        market.deltas += 1
        if market.deltas < CHECKPOINT_EVERY and market.day == event.origin.received_ns // _DAY_NS:
            return [completed]
        return [completed, self._checkpoint(market, event)]

    def _market(self, ticker: str) -> _Market:
        market = self._markets.get(ticker)
        if market is None:
            market = self._markets[ticker] = _Market()
        return market

    def _checkpoint(self, market: _Market, event: BookSnapshot | BookDelta) -> BookSnapshot:
        market.deltas = 0
        market.day = event.origin.received_ns // _DAY_NS
        return BookSnapshot(
            ticker=event.ticker,
            bids=market.book.bids,
            asks=market.book.asks,
            venue_ns=event.venue_ns,
            origin=_next_event(event.origin),
            market_id=event.market_id,
            is_checkpoint=True,
        )


def _next_event(origin: Origin) -> Origin:
    return msgspec.structs.replace(origin, k=origin.k + 1)

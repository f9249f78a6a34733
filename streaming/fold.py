"""Events with what a reader of one market needs but no single frame says: resting sizes and checkpoints.

A pure fold over a session's events in order of n. It can be begun again at any checkpoint (`resume`), and be put away
and taken up anywhere (`state`).
"""

import msgspec

from streaming.book import OrderBook
from streaming.events import BookDelta, BookSnapshot, Level, MarketEvent, Origin
from streaming.issues import IssueKind

CHECKPOINT_EVERY = 256  # deltas of one market
_DAY_NS = 86_400 * 1_000_000_000


class MarketState(msgspec.Struct, frozen=True):
    """All that a fold knows of one market; `day` is that of its last checkpoint, `connection` that of its last frame."""

    ticker: str
    is_known: bool
    is_crossed: bool
    deltas: int
    day: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    connection: int = 0


class _Market:
    __slots__ = ("book", "connection", "day", "deltas", "is_crossed")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.deltas = 0
        self.day = -1
        self.is_crossed = False  # and told so
        self.connection = 0  # that carries it


class Fold:
    """Keeps every market's book; `apply` completes a delta and adds a checkpoint where one is due.

    A checkpoint is due after every snapshot, at a market's first book event of a UTC day (of receive time) and
    every 256 deltas, while the book is known. `noted` gathers what the books contradict, until somebody takes it.
    """

    def __init__(self, markets: list[MarketState] | None = None) -> None:
        self.noted: list[tuple[IssueKind, str]] = []
        self._markets = {state.ticker: _market_of(state) for state in markets or ()}

    def apply(self, event: MarketEvent) -> list[MarketEvent]:
        """The event, completed, and what follows from it (k counts on)."""
        if isinstance(event, BookDelta):
            return self._delta(event)
        if isinstance(event, BookSnapshot):
            return self._snapshot(event)
        return [event]

    def resume(self, checkpoint: BookSnapshot) -> None:
        """Begin a market at one of its checkpoints, as if all before had been applied."""
        market = self._market(checkpoint.ticker)
        market.book.replace(checkpoint)
        market.deltas = 0
        market.connection = checkpoint.origin.connection
        market.day = checkpoint.origin.received_ns // _DAY_NS
        market.is_crossed = market.book.is_crossed

    def state(self) -> list[MarketState]:
        """What `Fold(state)` goes on from."""
        return [_state_of(ticker, self._markets[ticker]) for ticker in self.tickers]

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

    def forget_connection(self, connection: int) -> None:
        """Frames of this connection were lost: which of its markets lost something, only the venue knows."""
        for market in self._markets.values():
            if market.connection in (connection, 0):
                market.book.forget()

    def drop(self, ticker: str) -> None:
        """The market is over; keep nothing of it."""
        self._markets.pop(ticker, None)

    def _snapshot(self, event: BookSnapshot) -> list[MarketEvent]:
        market = self._market(event.ticker)
        kept = _levels(market.book) if event.is_requested and market.book.is_known else None
        is_same_line = market.connection == event.origin.connection
        market.connection = event.origin.connection
        market.book.replace(event)
        if kept is not None and is_same_line and kept != _levels(market.book):
            self.noted.append((IssueKind.BOOK_DRIFT, _difference(kept, _levels(market.book))))
        self._look_for_crossing(market)
        return [event, self._checkpoint(market, event)]

    def _delta(self, event: BookDelta) -> list[MarketEvent]:
        market = self._markets.get(event.ticker) or self._market(event.ticker)
        if market.connection != event.origin.connection:
            self._moved(market, event.origin.connection)
        was_known = market.book.is_known
        size_e2 = market.book.change(event)
        if size_e2 is None:
            if was_known:
                self.noted.append(_contradiction(event))
            return [event]
        if market.book.is_crossed or market.is_crossed:
            self._look_for_crossing(market)
        at = event.origin
        completed = BookDelta(
            event.ticker, event.side, event.price_e4, event.delta_e2, size_e2, event.venue_ns, at, event.market_id
        )  # fmt: skip
        market.deltas += 1
        if market.deltas < CHECKPOINT_EVERY and market.day == at.received_ns // _DAY_NS:
            return [completed]
        return [completed, self._checkpoint(market, event)]

    def _moved(self, market: _Market, connection: int) -> None:
        """Another connection's deltas change a book that only it has sent, if it has sent one."""
        if market.connection:  # 0: taken up at a checkpoint that no frame gave
            market.book.forget()
        market.connection = connection

    def _look_for_crossing(self, market: _Market) -> None:
        """A crossed book is told once, not at every delta until it is right again."""
        is_crossed = market.book.is_crossed
        if is_crossed and not market.is_crossed:
            bid, ask = market.book.bids[0], market.book.asks[0]
            self.noted.append((IssueKind.CROSSED_BOOK, f"bid {bid.price_e4}, ask {ask.price_e4}"))
        market.is_crossed = is_crossed

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


def _contradiction(event: BookDelta) -> tuple[IssueKind, str]:
    """Why a known book did not take this delta."""
    at = f"{event.side.value} at {event.price_e4}"
    if event.delta_e2 < 0:
        return IssueKind.NEGATIVE_SIZE, at
    return IssueKind.PARSE_ERROR, f"more than there can be: {at}"


_Levels = tuple[tuple[Level, ...], tuple[Level, ...]]


def _levels(book: OrderBook) -> _Levels:
    return book.bids, book.asks


def _difference(kept: _Levels, sent: _Levels) -> str:
    """The first level that is not the same, and how many there are."""
    ours, theirs = (
        {
            (side, one.price_e4): one.size_e2
            for side, levels in zip(("bid", "ask"), book, strict=True)
            for one in levels
        }
        for book in (kept, sent)
    )
    wrong = sorted(at for at in ours.keys() | theirs.keys() if ours.get(at) != theirs.get(at))
    side, price = wrong[0]
    return f"{len(wrong)} levels; {side} at {price}: {theirs.get(wrong[0], 0)}, kept {ours.get(wrong[0], 0)}"


def _next_event(origin: Origin) -> Origin:
    return msgspec.structs.replace(origin, k=origin.k + 1)


def _state_of(ticker: str, market: _Market) -> MarketState:
    book = market.book
    return MarketState(
        ticker,
        book.is_known,
        market.is_crossed,
        market.deltas,
        market.day,
        book.bids,
        book.asks,
        market.connection,
    )


def _market_of(state: MarketState) -> _Market:
    market = _Market()
    if state.is_known:
        market.book.load(state.bids, state.asks)
    market.deltas, market.day, market.is_crossed = state.deltas, state.day, state.is_crossed
    market.connection = state.connection
    return market

"""An order book from snapshot and deltas; it knows when it cannot be trusted."""

from collections.abc import Iterable

from streaming.events import BookDelta, BookSide, BookSnapshot, Level

MOST_E2 = 10**17  # a single size has at most 15 digits before the point: no level ever holds more
_NO_BID, _NO_ASK = -1, 2**62


class OrderBook:
    """The resting sizes of one market, on the YES scale (an ask is a NO bid at 1 - price).

    It is known from its first snapshot on, until something contradicts it: a lost frame (`forget`), or a delta
    that would leave less than nothing at a level, or more than there can be.
    """

    __slots__ = ("_asks", "_best_ask", "_best_bid", "_bids", "is_known")
    is_known: bool
    _bids: dict[int, int]
    _asks: dict[int, int]

    def __init__(self) -> None:
        self.forget()

    def replace(self, snapshot: BookSnapshot) -> None:
        """Take a whole book, whatever was before."""
        self.load(snapshot.bids, snapshot.asks)

    def load(self, bids: Iterable[Level], asks: Iterable[Level]) -> None:
        """Take a whole book by its levels."""
        self._bids = {level.price_e4: level.size_e2 for level in bids if level.size_e2}
        self._asks = {level.price_e4: level.size_e2 for level in asks if level.size_e2}
        self._best_bid, self._best_ask = max(self._bids, default=_NO_BID), min(self._asks, default=_NO_ASK)
        self.is_known = True

    def change(self, delta: BookDelta) -> int | None:
        """Apply one change; returns what rests at the level now (1/100 contract), None if that is not known."""
        if not self.is_known:
            return None
        side = self._bids if delta.side is BookSide.BID else self._asks
        size = side.get(delta.price_e4, 0) + delta.delta_e2
        if not 0 <= size <= MOST_E2:
            self.forget()
            return None
        self.set_level(delta.side, delta.price_e4, size)
        return size

    def set_level(self, side: BookSide, price_e4: int, size_e2: int) -> None:
        """Take one level's new size, for readers of deltas that carry it."""
        if side is BookSide.BID:
            if size_e2:
                self._bids[price_e4] = size_e2
                if price_e4 > self._best_bid:
                    self._best_bid = price_e4
            elif self._bids.pop(price_e4, None) and price_e4 == self._best_bid:
                self._best_bid = max(self._bids, default=_NO_BID)
        elif size_e2:
            self._asks[price_e4] = size_e2
            if price_e4 < self._best_ask:
                self._best_ask = price_e4
        elif self._asks.pop(price_e4, None) and price_e4 == self._best_ask:
            self._best_ask = min(self._asks, default=_NO_ASK)

    def forget(self) -> None:
        """What is here may be wrong; wait for a snapshot."""
        self.is_known = False
        self._bids, self._asks = {}, {}
        self._best_bid, self._best_ask = _NO_BID, _NO_ASK

    @property
    def is_crossed(self) -> bool:
        """Whether somebody bids at least what somebody asks: no venue lets that stand."""
        return self._best_bid >= self._best_ask

    @property
    def bids(self) -> tuple[Level, ...]:
        """YES bids, best (highest) first."""
        return tuple([Level(price, self._bids[price]) for price in sorted(self._bids, reverse=True)])

    @property
    def asks(self) -> tuple[Level, ...]:
        """YES asks, best (lowest) first."""
        return tuple([Level(price, self._asks[price]) for price in sorted(self._asks)])

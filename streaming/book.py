"""An order book from snapshot and deltas; it knows when it cannot be trusted."""

from streaming.events import BookDelta, BookSide, BookSnapshot, Level


class OrderBook:
    """The resting sizes of one market, on the YES scale (an ask is a NO bid at 1 - price).

    It is known from its first snapshot on, until something contradicts it: a lost frame (`forget`), or a delta
    that would leave less than nothing at a level.
    """

    __slots__ = ("_levels", "is_known")

    def __init__(self) -> None:
        self.is_known = False
        self._levels: dict[BookSide, dict[int, int]] = {BookSide.BID: {}, BookSide.ASK: {}}

    def replace(self, snapshot: BookSnapshot) -> None:
        """Take a whole book, whatever was before."""
        self._levels[BookSide.BID] = {
            level.price_e4: level.size_e2 for level in snapshot.bids if level.size_e2
        }
        self._levels[BookSide.ASK] = {
            level.price_e4: level.size_e2 for level in snapshot.asks if level.size_e2
        }
        self.is_known = True

    def change(self, delta: BookDelta) -> int | None:
        """Apply one change; returns what rests at the level now (1/100 contract), None if that is not known."""
        if not self.is_known:
            return None
        side = self._levels[delta.side]
        size = side.get(delta.price_e4, 0) + delta.delta_e2
        if size < 0:
            self.forget()
            return None
        if size:
            side[delta.price_e4] = size
        else:
            side.pop(delta.price_e4, None)
        return size

    def set_level(self, side: BookSide, price_e4: int, size_e2: int) -> None:
        """Take one level's new size, for readers of deltas that carry it."""
        if size_e2:
            self._levels[side][price_e4] = size_e2
        else:
            self._levels[side].pop(price_e4, None)

    def forget(self) -> None:
        """What is here may be wrong; wait for a snapshot."""
        self.is_known = False
        self._levels = {BookSide.BID: {}, BookSide.ASK: {}}

    @property
    def bids(self) -> tuple[Level, ...]:
        """YES bids, best (highest) first."""
        levels = self._levels[BookSide.BID]
        return tuple(Level(price, levels[price]) for price in sorted(levels, reverse=True))

    @property
    def asks(self) -> tuple[Level, ...]:
        """YES asks, best (lowest) first."""
        levels = self._levels[BookSide.ASK]
        return tuple(Level(price, levels[price]) for price in sorted(levels))

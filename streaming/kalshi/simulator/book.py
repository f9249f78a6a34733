"""One market's resting bids, YES and NO, as exact integers; pure.

Prices are 1/10,000 dollar (`_e4`), sizes 1/100 contract (`_e2`).
"""

from collections.abc import Iterable
from decimal import Decimal

Levels = dict[int, int]
DOLLAR_E4 = 10_000


class Book:
    """Bids of both sides: a YES ask at p is a NO bid at 1 - p (kalshi.md 3.8)."""

    __slots__ = ("no", "yes")

    def __init__(self) -> None:
        self.yes: Levels = {}
        self.no: Levels = {}

    def change(self, side: str, price_e4: int, delta_e2: int) -> None:
        """Add to a level; it goes when nothing is left."""
        levels = self.yes if side == "yes" else self.no
        size = levels.get(price_e4, 0) + delta_e2
        if size:
            levels[price_e4] = size
        else:
            levels.pop(price_e4, None)

    def replace(self, yes: Levels, no: Levels) -> None:
        """Forget everything and take these levels."""
        self.yes, self.no = yes, no

    def best(self, side: str) -> int | None:
        """The highest bid of a side."""
        levels = self.yes if side == "yes" else self.no
        return max(levels, default=None)

    def quote(self) -> tuple[int, int, int, int]:
        """YES bid, its size, YES ask, its size; no bid is 0, no ask is one dollar, both of size 0."""
        bid, no_bid = self.best("yes"), self.best("no")
        return (
            bid or 0,
            self.yes[bid] if bid else 0,
            DOLLAR_E4 - (no_bid or 0),
            self.no[no_bid] if no_bid else 0,
        )

    def is_crossed_or_locked(self) -> bool:
        """Whether a bid reaches the other side's ask."""
        bid, no_bid = self.best("yes"), self.best("no")
        return bid is not None and no_bid is not None and bid + no_bid >= DOLLAR_E4


def price_e4(text: str) -> int:
    """`"0.4800"` as 4800, exactly."""
    if len(text) == 6 and text[1] == ".":
        return int(text[0] + text[2:])
    return _scaled(text, 4)


def size_e2(text: str) -> int:
    """`"-40.00"` as -4000, exactly."""
    if text[-3:-2] == ".":
        return int(text[:-3] + text[-2:])
    return _scaled(text, 2)


def dollars(price: int) -> str:
    """4800 as `"0.4800"`."""
    return f"{price // DOLLAR_E4}.{price % DOLLAR_E4:04d}"


def contracts(size: int) -> str:
    """-4000 as `"-40.00"`."""
    sign = "-" if size < 0 else ""
    return f"{sign}{abs(size) // 100}.{abs(size) % 100:02d}"


def levels_of(pairs: Iterable[tuple[str, str]]) -> Levels:
    """Levels from the wire's `[["0.4700","3.00"]]`."""
    return {price_e4(price): size_e2(size) for price, size in pairs}


def level_texts(levels: Levels, *, complement: bool = False) -> list[list[str]]:
    """Levels as the wire has them, best last; `complement` prices them on the other side's scale."""
    return [
        [dollars(DOLLAR_E4 - price if complement else price), contracts(levels[price])]
        for price in sorted(levels)
    ]


def _scaled(text: str, decimals: int) -> int:
    value = Decimal(text).scaleb(decimals)
    if value != value.to_integral_value():
        raise ValueError(f"'{text}' has more than {decimals} decimals")
    return int(value)

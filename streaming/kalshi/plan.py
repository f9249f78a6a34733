"""Which line to the venue carries what: the all-market channels on the first, order books on those after it. Pure."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from streaming.kalshi.shards import ALL, Shard

FIRST_LINE = 0
MOST_LINES = 50  # of Kalshi's 200 connections a user (kalshi.md 3.1): others need some, too
BOOKS = "orderbook"
_FIREHOSES = {"market_lifecycle_v2": "lifecycle", "ticker": "ticker", "trade": "trade"}


@dataclass
class Plan:
    """A book stays on its line as long as it is wanted; a new one goes to the first line with room.

    `books_a_line` 0 puts all books on the first line. What finds no room is `overflow`, never left out silently.
    """

    books_a_line: int = 0
    most_lines: int = MOST_LINES
    shard: Shard = ALL
    overflow: set[str] = field(default_factory=set)
    _line_of: dict[str, int] = field(default_factory=dict)

    @property
    def first_lines(self) -> list[int]:
        """The lines that stand from the beginning, whatever is wanted."""
        return [FIRST_LINE] if self.books_a_line == 0 else [FIRST_LINE, FIRST_LINE + 1]

    def firehoses(self, line: int) -> tuple[str, ...]:
        """The venue's channels that this line takes for all markets.

        Of several connectors the first takes them; the others need only hear which markets there are.
        """
        if line != FIRST_LINE:
            return ()
        return tuple(_FIREHOSES) if self.shard.is_first else ("market_lifecycle_v2",)

    def carries_books(self, line: int) -> bool:
        """Whether order books may be placed on this line."""
        return (line == FIRST_LINE) == (self.books_a_line == 0)

    def channels(self, line: int) -> list[str]:
        """What the line carries, in raw types; empty means everything."""
        found = [_FIREHOSES[name] for name in self.firehoses(line)]
        found += [BOOKS] if self.carries_books(line) else []
        return [] if len(found) > len(_FIREHOSES) else sorted(found)

    def place(self, wanted: Collection[str]) -> dict[int, set[str]]:
        """The books of each line that has some."""
        mine = {ticker for ticker in wanted if self.shard.owns(ticker)}
        self._line_of = {ticker: line for ticker, line in self._line_of.items() if ticker in mine}
        self.overflow = set()
        taken = Counter(self._line_of.values())
        line = self.first_lines[-1]
        for ticker in sorted(mine - self._line_of.keys()):
            while self.books_a_line and taken[line] >= self.books_a_line:
                line += 1
            if line >= self.most_lines:
                self.overflow.add(ticker)
                continue
            self._line_of[ticker] = line
            taken[line] += 1
        placed: dict[int, set[str]] = {}
        for ticker, where in self._line_of.items():
            placed.setdefault(where, set()).add(ticker)
        return placed

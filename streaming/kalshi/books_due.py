"""The order books that were asked for and have not come. Pure; times are ns of one steady clock."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streaming.kalshi.pending import TRIES

WITHIN_NS = 5 * 1_000_000_000


class Late(NamedTuple):
    """Books that did not come in time: those to ask for again, and those asked for too often."""

    again: list[str]
    hopeless: list[str]


class BooksDue:
    """Each book with the time at which it was asked for, and how often since."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[int, int]] = {}

    def __bool__(self) -> bool:
        """Whether a book is awaited."""
        return bool(self._asked)

    def __iter__(self) -> Iterator[str]:
        """The books that are awaited."""
        return iter(self._asked)

    def ask(self, tickers: Iterable[str], now_ns: int) -> None:
        """These are asked for from now on."""
        self._asked.update(dict.fromkeys(tickers, (now_ns, 0)))

    def drop(self, ticker: str) -> None:
        """It came, or is awaited no more."""
        self._asked.pop(ticker, None)

    def late(self, now_ns: int) -> Late:
        """What is overdue: counted as asked for again, or no longer awaited."""
        found = [ticker for ticker, (asked_ns, _) in self._asked.items() if now_ns - asked_ns > WITHIN_NS]
        hopeless = [ticker for ticker in found if self._asked[ticker][1] >= TRIES]
        for ticker in hopeless:
            del self._asked[ticker]
        again = sorted(set(found) - set(hopeless))
        for ticker in again:
            self._asked[ticker] = (now_ns, self._asked[ticker][1] + 1)
        return Late(again, hopeless)

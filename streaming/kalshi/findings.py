"""What the conversation with Kalshi finds out: the session's words to whoever records."""

from dataclasses import dataclass

from streaming.kalshi.messages import Lifecycle
from streaming.kalshi.sequence import Skipped


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Frames of a subscription never came; None tickers: every market; empty: no book that we follow."""

    skipped: Skipped
    channel: str
    tickers: tuple[str, ...] | None
    after_n: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class BooksHealed:
    """Every book of the subscription has its snapshot again."""

    sid: int


@dataclass(frozen=True, slots=True)
class BooksMissing:
    """These markets were asked for and no snapshot came."""

    tickers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BookFound:
    """A market that was missing has its snapshot after all, or is no longer wanted."""

    ticker: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Every channel is acknowledged and every asked book has its snapshot, or is reported missing."""

    tickers: int


@dataclass(frozen=True, slots=True)
class MarketNews:
    """A lifecycle frame."""

    message: Lifecycle


Finding = SequenceGap | BooksHealed | BooksMissing | BookFound | Ready | MarketNews

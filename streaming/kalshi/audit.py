"""The standing audit: one book after another is asked of the venue, whether or not anything is missing. Pure.

The normalizer compares each answer with the book that it kept. That an answer comes at all proves that a connection on
which nothing happens is fed: its pings prove only that it stands.
"""

from collections.abc import Collection

from streaming.kalshi.protocol_error import ProtocolError

EVERY_NS = 15 * 1_000_000_000
ANSWER_WITHIN_NS = 5 * 1_000_000_000
TRIES = 3


class BookAudit:
    """Which book to ask for now; times are ns of one steady clock."""

    def __init__(self) -> None:
        self._ticker = ""
        self._asked_ns = 0
        self._tries = 0

    def due(self, books: Collection[str], now_ns: int) -> str | None:
        """The book to ask for, if it is time: the next one, or the one that was not answered."""
        if self._tries and self._ticker in books:
            if now_ns - self._asked_ns <= ANSWER_WITHIN_NS:
                return None
        elif not books or now_ns - self._asked_ns < EVERY_NS:
            return None
        else:
            later = [ticker for ticker in books if ticker > self._ticker]
            self._ticker, self._tries = min(later or books), 0
        self._asked_ns, self._tries = now_ns, self._tries + 1
        return self._ticker

    def came(self, ticker: str) -> None:
        """A book came."""
        if ticker == self._ticker:
            self._tries = 0

    def require_answers(self, channel: str) -> None:
        """Raises ProtocolError, a stall of the channel, where there are none."""
        if self.is_in_vain:
            raise ProtocolError("books that were asked for do not come", cause="data_stall", stalled=channel)

    @property
    def is_in_vain(self) -> bool:
        """Whether the venue was asked too often without an answer."""
        return self._tries > TRIES

"""What a normalizer knows of one connection between two records. Pure."""

from collections.abc import Iterable

import msgspec

from streaming.kalshi.sequence import SeqCounter


class ConnectionState(msgspec.Struct, frozen=True):
    """One connection of the session: its line, the last number of each sid, and which sids carry books."""

    line: int
    sequence: dict[int, int]
    book_sids: list[int]


class Connection:
    """Its line, its numbers, and which of its subscriptions carry books."""

    __slots__ = ("book_sids", "line", "sequence")

    def __init__(
        self, line: int = 0, sequence: dict[int, int] | None = None, book_sids: Iterable[int] = ()
    ) -> None:
        self.line, self.sequence, self.book_sids = line, SeqCounter(sequence), set(book_sids)

"""What a normalizer knows between two records, and how it is put away. Pure."""

from collections.abc import Iterable
from typing import Any

import msgspec

from streaming.events import GapNotice
from streaming.fold import MarketState
from streaming.kalshi.sequence import SeqCounter, SidState


class ConnectionState(msgspec.Struct, frozen=True):
    """One connection of the session: its line, how far each sid is counted, and which sids carry books."""

    line: int
    sequence: dict[int, SidState]
    book_sids: list[int]


class Connection:
    """What is known of one connection between two records."""

    __slots__ = ("book_sids", "line", "sequence")

    def __init__(
        self, line: int = 0, sequence: dict[int, SidState] | None = None, book_sids: Iterable[int] = ()
    ):
        self.line, self.sequence, self.book_sids = line, SeqCounter(sequence), set(book_sids)

    def state(self) -> ConnectionState:
        """What `taken_up` goes on from."""
        return ConnectionState(self.line, self.sequence.state(), sorted(self.book_sids))

    @classmethod
    def taken_up(cls, state: ConnectionState) -> "Connection":
        """The connection as it was put away."""
        return cls(state.line, state.sequence, state.book_sids)


class NormalizerState(msgspec.Struct, frozen=True):
    """All that a normalizer knows between two records."""

    session: str
    subscribe: dict[str, Any]
    connections: dict[int, ConnectionState]
    open_gaps: list[GapNotice]
    markets: list[MarketState]
    shard: str = ""

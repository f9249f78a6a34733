"""What a stream acknowledged: which record stands at which of its sequences, thinned. Pure."""

from bisect import bisect_left
from typing import NamedTuple

MOST = 4096  # kept, evenly spread over the session


class Anchor(NamedTuple):
    """A stored message: its stream sequence, its record's n and receive time, its identity, and when it was acked."""

    seq: int
    n: int
    identity: str
    received_ns: int
    acked_at: float  # monotonic


class Hole(NamedTuple):
    """Records whose events were acknowledged and are perhaps gone from the bus."""

    first_n: int
    last_n: int
    from_ns: int
    to_ns: int
    why: str  # deleted, recreated, rolled_back or purged


class Anchors:
    """Anchors in order of sequence: the newest one always, of the others as many as fit."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: list[Anchor] = []
        self._most, self._spacing = most, 1
        self.last: Anchor | None = None

    def add(self, anchor: Anchor) -> None:
        """Remember a message that was stored after all that are known."""
        self.last = anchor
        if self._kept and anchor.seq < self._kept[-1].seq + self._spacing:
            return
        self._kept.append(anchor)
        if len(self._kept) > self._most:
            self._kept = self._kept[::2]
            self._spacing *= 2

    def all(self) -> list[Anchor]:
        """Those that are kept, the newest included."""
        if self.last is None or self._kept[-1] is self.last:
            return self._kept
        return [*self._kept, self.last]

    def lost(self, first_seq: int, last_seq: int, *, why: str) -> Hole | None:
        """What is lost if the messages at these sequences, both included, are gone; None where none of them is ours.

        Between two anchors may lie messages that are not remembered: then the hole reaches to the anchors beside it.
        """
        known = self.all()
        begin, end = bisect_left(known, (first_seq,)), bisect_left(known, (last_seq + 1,))
        if self._spacing > 1 and (begin < end or 0 < begin < len(known)):
            begin, end = max(begin - 1, 0), end + 1
        gone = known[begin:end]
        if not gone:
            return None
        first, last = gone[0], gone[-1]
        return Hole(first.n, last.n, first.received_ns, max(first.received_ns, last.received_ns), why)

    def forget_after(self, seq: int) -> None:
        """What stood behind `seq` is gone."""
        self._kept = [one for one in self.all() if one.seq <= seq]
        self.last = self._kept[-1] if self._kept else None

    def forget_before(self, seq: int) -> None:
        """What stood before `seq` is gone."""
        self._kept = [one for one in self.all() if one.seq >= seq]
        self.last = self._kept[-1] if self._kept else None

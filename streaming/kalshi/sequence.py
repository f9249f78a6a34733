"""The venue's sequence numbers: one counter per (connection, sid), rising by exactly one. Pure."""

from dataclasses import dataclass
from enum import Enum

import msgspec

RUN = 3  # numbers that rise by one: where the venue counts, whatever it said before
MOST_HOLES = 64  # of a subscription that are remembered


@dataclass(frozen=True, slots=True)
class Skipped:
    """Frames `expected` .. `received` - 1 of a subscription never came; not above: its count goes on from elsewhere."""

    sid: int
    expected: int
    received: int


class Odd(Enum):
    """A number that is not the next one, and before which nothing is missing that was not told."""

    REPEATED = "repeated"  # passed already
    LATE = "late"  # not passed yet: one of those that were told as missing


class SidState(msgspec.Struct, frozen=True):
    """The last number of a subscription, the ranges below it that never came, and the odd numbers that rise by one."""

    last: int
    holes: tuple[tuple[int, int], ...] = ()
    run_to: int = 0
    run: int = 0


class _Sid:
    __slots__ = ("holes", "last", "run", "run_to")

    def __init__(self, state: SidState) -> None:
        self.last, self.holes, self.run_to, self.run = state.last, list(state.holes), state.run_to, state.run

    def state(self) -> SidState:
        return SidState(self.last, tuple(self.holes), self.run_to, self.run)

    def skip_to(self, seq: int) -> None:
        """Numbers before this one never came."""
        self.holes = [*self.holes, (self.last + 1, seq - 1)][-MOST_HOLES:]
        self.last, self.run = seq, 0

    def go_on_from(self, seq: int) -> None:
        """What was counted above this number was not the venue's count."""
        self.holes = [(first, min(last, seq - 1)) for first, last in self.holes if first < seq]
        self.last, self.run = seq, 0

    def lengthen_run(self, seq: int) -> None:
        self.run = self.run + 1 if seq == self.run_to + 1 else 1
        self.run_to = seq

    def fill(self, seq: int) -> bool:
        """Whether this number was missing until now."""
        for at, (first, last) in enumerate(self.holes):
            if first <= seq <= last:
                parts = [(first, seq - 1), (seq + 1, last)]
                self.holes[at : at + 1] = [(begin, end) for begin, end in parts if begin <= end]
                return True
        return False


class SeqCounter:
    """Counts every frame of one connection that carries a `seq`, be it data, `ok` or `error`.

    One odd number, far ahead or back, is no new count: the others go on from before it. Where `RUN` numbers in
    succession rise by one, that is the venue's count, and what it was taken for is told as a loss.
    """

    def __init__(self, state: dict[int, SidState] | None = None) -> None:
        self._sids = {sid: _Sid(one) for sid, one in (state or {}).items()}

    def take(self, sid: int | None, seq: int | None) -> Skipped | Odd | None:
        """Count a frame; None: it is the next of its subscription, as nearly all are, or has no number."""
        if sid is None or not seq:  # the venue counts from 1
            return None
        one = self._sids.get(sid)
        if one is None:
            one = self._sids[sid] = _Sid(SidState(0))
        if seq == one.last + 1:
            one.last, one.run = seq, 0
            return None
        return self._odd(sid, one, seq)

    def _odd(self, sid: int, one: _Sid, seq: int) -> Skipped | Odd:
        expected = one.last + 1
        if seq > expected:
            one.skip_to(seq)
            return Skipped(sid, expected, seq)
        one.lengthen_run(seq)
        is_late = one.fill(seq)
        begins_again = seq == 1 and not is_late
        # A run up to the last number is one that was sent twice; what follows it is the next in any case.
        if begins_again or (one.run >= RUN and seq < one.last):
            one.go_on_from(seq)
            return Skipped(sid, expected, seq)
        return Odd.LATE if is_late else Odd.REPEATED

    def state(self) -> dict[int, SidState]:
        """What `SeqCounter(state)` counts on from."""
        return {sid: one.state() for sid, one in self._sids.items()}

    def forget(self, sid: int) -> None:
        """The subscription is over; its number may come again with another meaning."""
        self._sids.pop(sid, None)

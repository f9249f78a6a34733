"""The venue's sequence numbers: one counter per (connection, sid), rising by exactly one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Skipped:
    """Frames `expected` .. `received` - 1 of a subscription never came."""

    sid: int
    expected: int
    received: int


class SeqCounter:
    """Counts every frame of one connection that carries a `seq`, be it data, `ok` or `error`."""

    def __init__(self, last: dict[int, int] | None = None) -> None:
        self._last: dict[int, int] = dict(last or {})

    def follows(self, sid: int | None, seq: int | None) -> bool:
        """Count a frame that is the next of its subscription, as nearly all are; False: ask the two below."""
        if sid is None or seq is None or self._last.get(sid, 0) + 1 != seq:
            return False
        self._last[sid] = seq
        return True

    def check(self, sid: int | None, seq: int | None) -> Skipped | None:
        """What is missing before this frame; a first number above 1 means that the first frames are missing."""
        if sid is None or seq is None:
            return None
        expected = self._last.get(sid, 0) + 1
        if seq < expected and seq != 1:
            return None  # a repetition; see `is_repeated`
        self._last[sid] = seq
        if seq == expected:
            return None
        return Skipped(sid, expected, seq)

    def is_repeated(self, sid: int | None, seq: int | None) -> bool:
        """Whether this number was passed already; ask before `check`."""
        if sid is None or seq is None:
            return False
        return 1 < seq <= self._last.get(sid, 0)

    def state(self) -> dict[int, int]:
        """The last number of each subscription; `SeqCounter(state)` counts on from there."""
        return dict(self._last)

    def forget(self, sid: int) -> None:
        """The subscription is over; its number may come again with another meaning."""
        self._last.pop(sid, None)

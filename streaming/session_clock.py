"""The time that a session's records carry: the wall clock's, except that it is never set back. Pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass

STEP_NS = 1_000_000_000  # less is a clock that is being slewed, and followed


@dataclass(frozen=True, slots=True)
class Stepped:
    """The wall clock was set: by `step_ns`; the session's time is now `ahead_ns` ahead of it."""

    step_ns: int
    ahead_ns: int


class SessionClock:
    """Monotonic time plus an offset; `check` it once a second against the wall clock."""

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall, self._steady = wall, steady
        self._offset = self._seen = wall() - steady()

    def now_ns(self) -> int:
        """Unix ns: for records."""
        return self._steady() + self._offset

    def steady_ns(self) -> int:
        """Ns since some moment: for intervals, whatever happens to the wall clock."""
        return self._steady()

    def check(self) -> Stepped | None:
        """Follow the wall clock; what it was set by, if it was.

        Forward it is followed, since days are cut by it. Backward it is not: a record would lie before an earlier one.
        """
        offset = self._wall() - self._steady()
        step, self._seen = offset - self._seen, offset
        if offset > self._offset - STEP_NS:
            self._offset = offset
        return Stepped(step, self._offset - offset) if abs(step) >= STEP_NS else None

"""Which faults wait, which are on, and how often they struck; pure (time comes in, in seconds of any one clock)."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from streaming.kalshi.simulator.mischief.fault import EVERYBODY, NEXT, Fault, Level


@dataclass(slots=True)
class Running:
    """A fault that is on."""

    number: int
    fault: Fault
    since_s: float
    connection: int | str
    left: int | None
    struck: int = 0
    unrecorded: int = 0  # frames that nothing could ever miss

    @property
    def is_spent(self) -> bool:
        """Whether it has struck as often as it was told to."""
        return self.left == 0

    def concerns(self, connection: int) -> bool:
        """Whether it strikes this connection."""
        return self.connection in (EVERYBODY, connection) and not self.is_spent

    def strike(self) -> bool:
        """Count one; False when it is spent."""
        if self.is_spent:
            return False
        self.struck += 1
        if self.left is not None:
            self.left -= 1
        return True

    def is_over(self, now_s: float) -> bool:
        """Whether it ends now."""
        lasts = self.fault.for_s
        return self.is_spent or (lasts is not None and now_s >= self.since_s + lasts)


@dataclass(slots=True)
class _Waiting:
    number: int
    fault: Fault
    due_s: float | None  # not known before the first client of a script


class Mischief:
    """All faults of one exchange."""

    def __init__(self, script: Iterable[Fault] = ()) -> None:
        self._numbers = itertools.count(1)
        self._waiting = [_Waiting(next(self._numbers), fault, None) for fault in script]
        self._running: dict[int, Running] = {}
        self._begun: list[Running] = []
        self._ended: list[Running] = []
        self._had_client = False
        self.handed = 0
        # Nothing bends frames now, and nothing waits for a certain one.
        self.is_idle = True
        self._look()

    def add(self, fault: Fault, now_s: float) -> int:
        """Order a fault at run time; `after` counts from now."""
        number = next(self._numbers)
        self._waiting.append(_Waiting(number, fault, now_s + fault.after_s))
        self.advance(now_s)
        return number

    def clear(self, number: int | None, now_s: float) -> list[int]:
        """End one fault, or all; returns the numbers of those that were there."""
        waiting = [one.number for one in self._waiting if number in (None, one.number)]
        running = [one for one in self._running.values() if number in (None, one.number)]
        self._waiting = [one for one in self._waiting if one.number not in waiting]
        for one in running:
            self._end(one)
        self.advance(now_s)
        return sorted([*waiting, *(one.number for one in running)])

    def connected(self, connection: int, now_s: float) -> None:
        """A client came in: a script's time begins with the first, and `next` means this one."""
        if not self._had_client:
            self._had_client = True
            for one in self._waiting:
                if one.due_s is None:
                    one.due_s = now_s + one.fault.after_s
        self.advance(now_s)
        for running in self._running.values():
            if running.connection == NEXT:
                running.connection = connection

    def advance(self, now_s: float) -> None:
        """Let those begin that are due, and those end whose time is over."""
        for one in [one for one in self._waiting if self._is_due(one, now_s)]:
            self._waiting.remove(one)
            fault = one.fault
            running = Running(one.number, fault, now_s, fault.connection, fault.count)
            self._running[one.number] = running
            self._begun.append(running)
        for running in [one for one in self._running.values() if one.is_over(now_s)]:
            self._end(running)
        self._look()

    def news(self) -> tuple[list[Running], list[Running]]:
        """Those that began and those that ended since it was last asked."""
        begun, self._begun = self._begun, []
        ended, self._ended = self._ended, []
        return begun, ended

    def count_frame(self, now_s: float) -> None:
        """One frame more is handed out; the one that a fault waits for is its first."""
        self.handed += 1
        if any(one.fault.at_frame is not None and one.fault.at_frame <= self.handed for one in self._waiting):
            self.advance(now_s)

    def at(self, level: Level) -> list[Running]:
        """Those that are on at a level, in the order in which they were ordered."""
        return [one for one in self._running.values() if one.fault.kind.level is level and not one.is_spent]

    def named(self, name: str) -> list[Running]:
        """Those of one kind that are on."""
        return [one for one in self._running.values() if one.fault.kind.name == name and not one.is_spent]

    def is_on(self, number: int) -> bool:
        """Whether it still bends frames."""
        running = self._running.get(number)
        return running is not None and not running.is_spent

    def end(self, running: Running) -> None:
        """It has done what it was to do."""
        running.left = 0

    def listed(self, now_s: float) -> list[dict[str, Any]]:
        """All that wait or are on, for people."""
        waiting = [
            {"id": one.number, "do": one.fault.kind.name, "state": "waiting", "struck": 0}
            for one in self._waiting
        ]
        running = [
            {
                "id": one.number, "do": one.fault.kind.name, "state": "on", "struck": one.struck,
                "for": round(now_s - one.since_s, 3),
            }
            for one in self._running.values()
            if not one.is_spent
        ]  # fmt: skip
        return [*waiting, *running]

    def _is_due(self, one: _Waiting, now_s: float) -> bool:
        if one.fault.at_frame is not None:
            return one.fault.at_frame <= self.handed
        return one.due_s is not None and one.due_s <= now_s

    def _end(self, running: Running) -> None:
        running.left = 0
        self._running.pop(running.number, None)
        self._ended.append(running)

    def _look(self) -> None:
        self.is_idle = not (
            any(one.fault.at_frame is not None for one in self._waiting) or self.at(Level.FRAME)
        )

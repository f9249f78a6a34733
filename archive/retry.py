"""One budget of attempts and time for one operation: full jitter, or the wait that the other side asked for."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from archive.objects import StoreError

T = TypeVar("T")


class Transient(StoreError):
    """It may well succeed if it is tried again."""

    def __init__(self, text: str, *, retry_after: float | None = None, status: int = 0) -> None:
        super().__init__(text)
        self.retry_after, self.status = retry_after, status


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, how long (s), and with what waits an operation is tried; two answers of 30 s that never come fit in."""

    attempts: int = 6
    seconds: float = 65.0
    first_wait: float = 0.1
    longest_wait: float = 5.0
    sleep: Callable[[float], object] = time.sleep

    def wait(self, failures: int, retry_after: float | None) -> float:
        """Seconds until the next attempt after so many failures."""
        if retry_after is not None:
            return retry_after
        return random.uniform(0, min(self.longest_wait, self.first_wait * 2 ** (failures - 1)))  # noqa: S311


class Budget:
    """What one operation may still spend; everything that it consists of draws on the same."""

    def __init__(self, patience: Patience, note: Callable[[Transient], None]) -> None:
        self._patience, self._note = patience, note
        self._failures = 0
        self._deadline = time.monotonic() + patience.seconds

    def run(self, action: Callable[[], T]) -> T:
        """The action's result; its last Transient when the budget is spent."""
        while True:
            try:
                return action()
            except Transient as error:
                self._wait_or_give_up(error)

    def _wait_or_give_up(self, error: Transient) -> None:
        self._failures += 1
        wait = self._patience.wait(self._failures, error.retry_after)
        if self._failures >= self._patience.attempts or time.monotonic() + wait > self._deadline:
            raise error
        self._note(error)
        self._patience.sleep(wait)

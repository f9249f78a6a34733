"""How long to wait before the next attempt to connect; pure but for its dice."""

import random

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 30.0
SHORTEST_SECONDS = 0.5
HEALTHY_AFTER_SECONDS = 60.0


class BackOff:
    """Full jitter under a ceiling that doubles; only a connection that lasted resets it, not one that was accepted."""

    def __init__(self, dice: random.Random | None = None) -> None:
        self._dice = dice or random.Random()  # noqa: S311 - spreads load, hides nothing
        self._ceiling = FIRST_SECONDS
        self._at_least = 0.0

    def connected_for(self, seconds: float) -> None:
        """A connection is over after this long."""
        if seconds > HEALTHY_AFTER_SECONDS:
            self._ceiling = FIRST_SECONDS

    def asked_to_wait(self, seconds: float) -> None:
        """The venue named a time: never come back sooner."""
        self._at_least = max(self._at_least, seconds)

    def next_wait(self) -> float:
        """Seconds until the next attempt."""
        wait = max(self._dice.uniform(SHORTEST_SECONDS, self._ceiling), self._at_least)
        self._ceiling, self._at_least = min(self._ceiling * 2, LONGEST_SECONDS), 0.0
        return wait

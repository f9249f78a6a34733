"""What happens to a market now and then: closed early, paused, renamed, determined late, settled at a fair price; pure."""

import random
from enum import StrEnum

# How much of a market's time has passed when it happens.
_EARLIEST, _LATEST = 0.2, 0.7


class Incident(StrEnum):
    """One thing out of the ordinary."""

    CLOSES_EARLY = "closes early"
    PAUSED = "paused"
    RENAMED = "renamed"
    DETERMINED_LATE = "determined late"
    FAIR_PRICE = "fair price"
    BLOCK_TRADE = "block trade"


def incident_of(
    ticker: str, *, seed: int, share: float, open_us: int, close_us: int
) -> tuple[int, Incident] | None:
    """When, and what, for that share of all markets; the same seed tells the same."""
    rng = random.Random(f"{seed} {ticker} incident")  # noqa: S311
    if rng.random() >= share:
        return None
    at_us = open_us + round((close_us - open_us) * rng.uniform(_EARLIEST, _LATEST))
    return at_us, rng.choice(list(Incident))

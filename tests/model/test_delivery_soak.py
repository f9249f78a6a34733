"""100,000 schedules of the model of delivery, other ones at each run: `SOAK_SEED` repeats them."""

import random
import sys

import pytest

from tests.model.design import LATE_PUTS, Faults
from tests.model.figures import DESIGN, MERGING, tally

PIECE = 10_000
PIECES = 10


def _seeds(chance: random.Random, count: int) -> range:
    first = chance.randrange(10**9)
    return range(first, first + count)


@pytest.mark.soak(minutes=1.5)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("piece", range(PIECES))
def test_nothing_is_lost_unnoticed_and_nothing_is_there_twice(piece: int, chance: random.Random) -> None:
    found = tally(_seeds(chance, PIECE), DESIGN, Faults(), stop_at=5)
    sys.stdout.write(f"{found.text()}\n")
    assert not found.verdicts, f"first bad schedule: {found.first_bad}\n{found.text()}"


@pytest.mark.soak(minutes=1.5)
@pytest.mark.timeout(900)
def test_readers_that_merge_bear_puts_that_land_late(chance: random.Random) -> None:
    found = tally(_seeds(chance, PIECE), MERGING, LATE_PUTS, stop_at=5)
    assert not found.verdicts, f"first bad schedule: {found.first_bad}\n{found.text()}"

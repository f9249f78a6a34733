"""100,000 schedules of the model of delivery, other ones at each run: `SOAK_SEED` repeats them."""

import random
import sys

import pytest

from tests.model.design import LATE_PUTS, Design, Faults
from tests.model.figures import DESIGN, tally

PIECE = 10_000
PIECES = 10


def _seeds(chance: random.Random, count: int) -> range:
    first = chance.randrange(10**9)
    return range(first, first + count)


def _all_good(seeds: range, design: Design, faults: Faults) -> None:
    found = tally(seeds, design, faults, stop_at=5)
    sys.stdout.write(f"seeds from {seeds[0]}\n{found.text()}\n")
    assert not found.verdicts, f"the first bad schedule has seed {seeds[(found.first_bad or 1) - 1]}"


@pytest.mark.soak(minutes=1.2)
@pytest.mark.timeout(900)
@pytest.mark.parametrize("piece", range(PIECES))
def test_nothing_is_lost_unnoticed_and_nothing_is_there_twice(piece: int, chance: random.Random) -> None:
    _all_good(_seeds(chance, PIECE), DESIGN, Faults())


@pytest.mark.soak(minutes=1.2)
@pytest.mark.timeout(900)
def test_puts_that_land_late_do_no_harm(chance: random.Random) -> None:
    _all_good(_seeds(chance, PIECE), DESIGN, LATE_PUTS)

"""What fails for a passing reason is tried again, a bounded number of times."""

import pytest
from django.db import IntegrityError, OperationalError
from prometheus_client import REGISTRY

from ssmd import market_database
from ssmd.market_database import ATTEMPTS, Database, DatabaseAway


class Failing:
    """Fails so many times, then answers."""

    def __init__(self, times: int, error: type[Exception] = OperationalError) -> None:
        self.left, self._error, self.asked = times, error, 0

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self.left:
            raise self._error("database is locked")
        return "done"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch, db: None) -> None:
    monkeypatch.setattr(market_database, "FIRST_PAUSE_SECONDS", 0.0)


async def test_a_locked_database_is_asked_again_and_that_is_counted() -> None:
    assert await Database("locked").do(Failing(ATTEMPTS - 1)) == "done"
    assert REGISTRY.get_sample_value("ssmd_follower_database_retries_total", {"feed": "locked"}) == 5


async def test_a_database_that_stays_away_ends_the_process_with_exit_code_6() -> None:
    work = Failing(99)

    with pytest.raises(DatabaseAway) as away:
        await Database("away").do(work)

    assert (int(away.value.exit_code), work.asked) == (6, ATTEMPTS)


async def test_a_clash_with_another_writer_is_tried_once_more() -> None:
    assert await Database("clash").do(Failing(1, IntegrityError)) == "done"
    with pytest.raises(IntegrityError):
        await Database("clash").do(Failing(2, IntegrityError))


async def test_a_mistake_is_not_tried_again() -> None:
    work = Failing(1, ValueError)

    with pytest.raises(ValueError, match="locked"):
        await Database("mistake").do(work)
    assert work.asked == 1

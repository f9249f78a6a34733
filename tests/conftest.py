"""What every test gets: recordings, a limit on quick tests, and no silent absence of a server."""

import os
import random
import time
from collections.abc import Generator
from pathlib import Path

import pytest

SLOW_SECONDS = 5.0
# Chosen anew for each run and printed; SOAK_SEED repeats a run.
SOAK_SEED = int(os.environ.get("SOAK_SEED") or time.time_ns() % 1_000_000)


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recorded Kalshi frames, named by SSMD_RECORDINGS."""
    folder = os.environ.get("SSMD_RECORDINGS")
    if folder and Path(folder).is_dir():
        return Path(folder)
    return absent("SSMD_RECORDINGS does not name the folder of recordings")


def absent(what: str) -> Path:
    """Something the test needs is not here: a skip, or a failure where everything is required."""
    if os.environ.get("SSMD_REQUIRE_ALL") == "1":
        pytest.fail(what)
    pytest.skip(what)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test over five seconds that is not marked `slow` fails: it would creep into everybody's day."""
    report = yield
    is_marked = any(item.get_closest_marker(name) for name in ("slow", "soak"))
    if report.when == "call" and report.passed and report.duration > SLOW_SECONDS and not is_marked:
        report.outcome = "failed"
        report.longrepr = (
            f"took {report.duration:.1f} s: mark it `slow`, or make it faster than {SLOW_SECONDS:.0f} s"
        )
    return report


def pytest_report_header() -> str:
    """The seed that repeats this run's random choices."""
    return f"soak: SOAK_SEED={SOAK_SEED} SOAK_MINUTES={os.environ.get('SOAK_MINUTES') or 'unlimited'}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the soak tests, as many as fit into SOAK_MINUTES, in an order that the seed decides."""
    limit = float(os.environ.get("SOAK_MINUTES") or "inf")
    soaks = [item for item in items if item.get_closest_marker("soak")]
    if limit == float("inf") or not soaks:
        return
    random.Random(SOAK_SEED).shuffle(soaks)
    left_out = [item for item in soaks if (limit := limit - _minutes(item)) < 0]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in soaks] + [
        item for item in soaks if item not in left_out
    ]


def _minutes(item: pytest.Item) -> float:
    marker = item.get_closest_marker("soak")
    return float(marker.kwargs.get("minutes", 1)) if marker else 0


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The test's own random choices, repeated by the run's seed."""
    return random.Random(f"{SOAK_SEED} {request.node.name}")

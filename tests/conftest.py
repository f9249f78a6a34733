"""What every test gets: recordings, a limit on quick tests, and no silent absence of a server."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

SLOW_SECONDS = 5.0


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

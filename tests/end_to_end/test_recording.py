"""Recorded frames through real processes: nothing lost unnoticed, nothing twice, nothing altered."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.system import System, books, notices, system, trades
from tests.oracle import judge_archive
from tests.oracle_of_bus import books_of_events, books_of_frames, judge_order, judge_trades, last_connection
from tests.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WINDOW = "gold15m/events/KXGOLD15M-26AUG050800-00"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path / "home") as one:
        yield one


def prove(one: System) -> None:
    """Stop everything in order and let the oracle judge all that was sent."""
    if "exchange" in one.running:
        one.stop("exchange")
    one.stop("connector")
    one.stop("shipper")
    sent, archive, events = one.sent(), one.archive(), one.published()

    verdict = judge_archive(sent, archive)

    assert verdict.faults == []
    assert verdict.archived + verdict.disclosed == verdict.sent > 0
    assert judge_trades(archive, trades(events), notices(events)) == []
    assert judge_order(events) == []
    assert trades(events)


def books_of_the_last_connection(one: System) -> None:
    events = one.published()
    last_session = one.archive()[-1].session
    ours = books_of_events(event for event in books(events) if event.origin.session == last_session)
    assert ours == books_of_frames(last_connection(one.sent()))


@pytest.mark.parametrize("speed", ["0", "60"])
def test_a_replayed_window_is_archived_and_published_exactly_once(
    running: System, recordings: Path, speed: str
) -> None:
    running.start_exchange("--replay", str(recordings / WINDOW), "--speed", speed, "--once")
    running.start_shipper()
    running.start_connector()
    running.wait_for("exchange", seconds=180)

    prove(running)
    books_of_the_last_connection(running)


def test_a_killed_connector_loses_nothing_silently_and_doubles_nothing(
    running: System, recordings: Path
) -> None:
    running.start_exchange("--replay", str(recordings / WINDOW), "--speed", "100", "--once")
    running.start_shipper()
    running.start_connector()
    until(lambda: len(running.sent()) > 5000, seconds=60, what="5,000 frames are sent")
    running.stop("connector", how=signal.SIGKILL)
    running.start_connector()
    running.wait_for("exchange", seconds=180)

    prove(running)
    books_of_the_last_connection(running)
    crashed, last = running.archive()
    assert [mark.cause for _, mark in crashed.gaps] == ["process_crash"]
    assert last.connections
    told = [one for one in notices(running.published()) if one.session == crashed.session]
    assert [one.cause for one in told] == ["process_crash"]

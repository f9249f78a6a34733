"""Recorded frames through real processes: nothing lost unnoticed, nothing twice, nothing altered."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streaming import marks
from streaming.events import Event, GapNotice
from tests.end_to_end.system import ENVIRONMENT, SSMD, System, books, notices, system, trades
from tests.oracle import judge_archive
from tests.oracle_of_bus import books_of_events, books_of_frames, judge_order, judge_trades, last_connection
from tests.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WINDOW = "gold15m/events/KXGOLD15M-26AUG050800-00"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path / "home") as one:
        yield one


def prove(one: System, judged_apart: Callable[[list[Event]], list[list[Event]]] = lambda all: [all]) -> None:
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
    assert [fault for told in judged_apart(events) for fault in judge_order(told)] == []
    assert trades(events)


def books_of_the_last_connection(one: System) -> None:
    events = one.published()
    last_session = one.archive()[-1].session
    ours = books_of_events(event for event in books(events) if event.origin.session == last_session)
    assert ours == books_of_frames(last_connection(one.sent()))


@pytest.mark.parametrize("speed", ["0", pytest.param("60", marks=pytest.mark.soak(minutes=1))])
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


def test_a_connector_that_takes_over_loses_no_frame_and_its_overlap_is_told_once(
    running: System, recordings: Path
) -> None:
    running.start_exchange("--replay", str(recordings / WINDOW), "--speed", "60", "--once")
    running.start_shipper()
    running.start_connector()
    until(lambda: len(running.sent()) > 500, seconds=60, what="500 frames are sent")
    running.start("second", SSMD, "connector", "start", "--env", ENVIRONMENT, "--take-over")
    assert running.wait_for("connector", seconds=60) == 0
    running.running["connector"] = running.running.pop("second")
    until(lambda: '"msg": "taken over"' in running.log("second"), seconds=10, what="it has taken over")
    running.wait_for("exchange", seconds=180)

    prove(running, by_session)
    first, second = running.archive()
    assert first.gaps == []
    assert marks.decode(first.records[-1].payload) == marks.SessionEnd(f"handed over to {second.session}")
    sealed = running.ssmd("data", "seal", "--date", "today", "--json")
    [day] = json.loads(sealed.stdout)["data"]
    assert day["Overlap"] > 0
    assert running.ssmd("data", "verify", "--date", "today", "--deep").returncode == 0


def by_session(events: list[Event]) -> list[list[Event]]:
    """While two sessions publish, each has an order of its own."""
    found: dict[str, list[Event]] = {}
    for event in events:
        session = event.session if isinstance(event, GapNotice) else event.origin.session
        found.setdefault(session, []).append(event)
    return list(found.values())

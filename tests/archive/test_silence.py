from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from archive.inventory import record_new_parts
from archive.silence import record_silence
from archive.store import DirectoryStore
from registry.models import ArchivePart, CaptureSession, DataGap, DataInventory, Feed
from streaming import marks
from streaming.capture_log import CaptureLog
from tests.archive.conftest import ENVIRONMENT, FEED, NOON, SessionMaker, add_trades

pytestmark = pytest.mark.django_db

AT_ONCE = datetime(2025, 12, 14, 12, 0, 30, tzinfo=UTC)
LATER = AT_ONCE + timedelta(minutes=3)
Ship = Callable[..., None]


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name=FEED, feed_type="websocket", status="active")


@pytest.fixture
def silent(feed: Feed, session: SessionMaker, ship: Ship, store: DirectoryStore) -> CaptureLog:
    """A session that was ready, whose records are known, and of which nothing comes any more."""
    log = session()
    log.mark(marks.ConnectionReady(connection=1, tickers=1), connection=1)
    add_trades(log, 5)
    ship()
    record_new_parts(store, FEED, ENVIRONMENT, now=AT_ONCE)
    return log


def look(store: DirectoryStore, now: datetime = LATER) -> set[str]:
    return record_silence(store, FEED, ENVIRONMENT, now=now)


def test_a_session_that_fell_silent_gets_its_gap_row_once(silent: CaptureLog, store: DirectoryStore) -> None:
    assert look(store) == {"kalshi-sim-1"}
    assert look(store) == set()

    gap = DataGap.objects.get()
    assert (gap.gap_type, gap.fault, gap.planned, gap.gap_end) == ("process_crash", "unknown", False, None)
    assert gap.gap_number == silent.last_n + 1
    assert gap.detail == {"assumed": True, "after_n": silent.last_n}
    assert gap.inventory == DataInventory.objects.get()
    assert DataInventory.objects.get().gap_count == 1
    assert CaptureSession.objects.get().ended_at is None


def test_nobody_is_accused_before_120_seconds_have_passed(silent: CaptureLog, store: DirectoryStore) -> None:
    assert look(store, AT_ONCE + timedelta(seconds=80)) == set()
    assert not DataGap.objects.exists()


def test_a_session_that_ended_is_not_silent(silent: CaptureLog, ship: Ship, store: DirectoryStore) -> None:
    silent.mark(marks.SessionEnd(reason="stopped"))
    ship()
    record_new_parts(store, FEED, ENVIRONMENT, now=AT_ONCE)

    assert look(store) == set()


def test_the_crash_mark_of_the_shipper_takes_the_rows_place(
    silent: CaptureLog, ship: Ship, store: DirectoryStore
) -> None:
    look(store)
    DataGap.objects.update(notes="power cut")
    add_trades(silent, 3)  # recorded before the crash, and not shipped until now
    crash = marks.GapOpen(
        cause="process_crash",
        connection=0,
        from_ns=silent.last_received_ns,
        after_n=silent.last_n,
        fault="ours",
    )
    number = silent.mark(crash)
    silent.mark(marks.SessionEnd(reason="process_crash"))
    ship()

    record_new_parts(store, FEED, ENVIRONMENT, now=LATER)

    gap = DataGap.objects.get()
    assert (gap.gap_type, gap.gap_number, gap.fault) == ("process_crash", number, "ours")
    assert "assumed" not in gap.detail
    assert gap.notes == "power cut"


def test_records_that_come_after_all_take_the_row_back(
    silent: CaptureLog, ship: Ship, store: DirectoryStore
) -> None:
    look(store)
    silent._clock.now_ns = NOON + 200 * 10**9  # type: ignore[attr-defined]
    add_trades(silent, 1)
    ship()

    record_new_parts(store, FEED, ENVIRONMENT, now=LATER)

    assert not DataGap.objects.exists()
    assert DataInventory.objects.get().gap_count == 0


def test_the_silence_ends_when_the_next_session_is_ready(
    silent: CaptureLog, session: SessionMaker, ship: Ship, store: DirectoryStore
) -> None:
    look(store)
    second = session("kalshi-sim-2", at_ns=NOON + 190 * 10**9)
    second.mark(marks.ConnectionReady(connection=1, tickers=1), connection=1)
    ship()

    record_new_parts(store, FEED, ENVIRONMENT, now=LATER)

    gap = DataGap.objects.get()
    assert gap.gap_end is not None
    assert gap.gap_end > gap.gap_start
    assert ArchivePart.objects.count() == 2

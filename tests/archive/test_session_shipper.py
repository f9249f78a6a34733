import os
import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from archive import session_shipper
from archive.raw import part_keys, read_day, read_manifest
from archive.shipper import Shipper
from archive.store import DirectoryStore
from streaming import marks
from streaming.capture_log import Cursor, segments
from streaming.dead_session import FOLLOWED, PUBLISHED
from tests.archive.conftest import FEED, SessionMaker, add_trades, archived, die, make_config, read_all

DAY = date(2025, 12, 14)


def test_shipping_goes_on_after_the_last_committed_part(session: SessionMaker, ship: Any, store: Any) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    (log.folder / "shipped.cursor").write_text("3")  # only a cache: the store is the truth
    add_trades(log, 10)

    ship()

    assert archived(store) == read_all(log)
    assert [key.first_n for key in part_keys(store, FEED, DAY)] == [1, 12]


def test_a_dead_session_gets_its_crash_and_end_marks_and_is_shipped_whole(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    die(log)
    with segments(log.folder)[-1].open("ab") as file:
        file.write(b"\x30\0\0\0torn")

    ship()

    kept = archived(store)
    assert [record.n for record in kept] == list(range(1, 9))
    gap, end = (marks.decode(record.payload) for record in kept[-2:])
    assert isinstance(gap, marks.GapOpen)
    assert (gap.cause, gap.after_n, gap.from_ns) == ("process_crash", 6, kept[5].received_ns)
    assert end == marks.SessionEnd(reason="process_crash")


def test_a_tail_that_was_seen_torn_and_then_cut_is_shipped_right(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    with segments(log.folder)[-1].open("ab") as file:
        file.write(b"\x30\0\0\0torn and longer than any mark that will be written in its place" * 10)
    shipper = Shipper(make_config(capture, store), halt := threading.Event())
    shipper.step()
    die(log)

    shipper._housekeeping_due = 0
    shipper.step()
    halt.set()
    shipper.work()

    assert [record.n for record in archived(store)] == list(range(1, 9))


def test_a_living_session_gets_no_end_mark(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    add_trades(session(), 5)

    ship()

    assert len(archived(store)) == 6


def test_segments_are_deleted_when_shipped_and_published(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    before = segments(log.folder)
    ship()
    assert segments(log.folder) == before  # nothing is published yet

    Cursor(log.folder / PUBLISHED).store(60)
    Cursor(log.folder / FOLLOWED).store(90)
    ship()

    left = segments(log.folder)
    assert len(left) < len(before)
    assert int(left[0].stem) <= 60 < int(left[1].stem)


def test_what_the_conversation_has_not_read_yet_stays(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    Cursor(log.folder / PUBLISHED).store(log.last_n)
    Cursor(log.folder / FOLLOWED).store(30)

    ship()

    left = segments(log.folder)
    assert int(left[0].stem) <= 30 < int(left[1].stem)


def test_shipping_goes_on_though_the_segment_read_last_was_deleted(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    shipper = Shipper(make_config(capture, store, part_seconds=0), threading.Event())
    for _ in range(20):
        add_trades(log, 7)
        Cursor(log.folder / PUBLISHED).store(log.last_n)
        Cursor(log.folder / FOLLOWED).store(log.last_n)
        shipper.step()

    assert [record.n for record in archived(store)] == list(range(1, 142))
    assert len(segments(log.folder)) <= 2


def test_a_trimmed_session_is_taken_up_where_it_stands(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    Cursor(log.folder / PUBLISHED).store(log.last_n)
    Cursor(log.folder / FOLLOWED).store(log.last_n)
    ship()
    assert int(segments(log.folder)[0].stem) > 1
    add_trades(log, 5)

    ship()

    assert [record.n for record in archived(store)] == list(range(1, 107))
    assert read_manifest(store, part_keys(store, FEED, DAY)[-1]).connector_version == "0.1.0"


def test_an_ended_session_keeps_its_last_segment_until_it_is_removed(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    log.mark(marks.SessionEnd(reason="stopped"))
    die(log)

    ship()  # its records are older than an hour: the folder goes with the same turn

    assert len(archived(store)) == 102
    ship()
    assert not log.folder.exists()


@pytest.mark.parametrize(
    ("age_s", "announced", "remains"), [(60, True, True), (700, True, False), (700, False, True)]
)
def test_an_ended_sessions_folder_stays_ten_minutes_or_an_hour(
    session: SessionMaker, ship: Any, age_s: int, announced: bool, remains: bool
) -> None:
    log = session(at_ns=time.time_ns() - age_s * 10**9)
    log.mark(marks.SessionEnd(reason="stopped"))
    die(log)
    if announced:
        (log.folder / "announced").touch()
    ship()

    ship()

    assert log.folder.exists() == remains


def test_what_was_kept_of_a_damaged_log_stays_and_is_counted(
    session: SessionMaker, ship: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_shipper, "KEEP_NS", 0)
    log = session()
    add_trades(log, 50)
    die(log)
    [path] = segments(log.folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    for _ in range(3):
        ship()

    kept = path.with_name(f"{path.name}.damaged")
    assert kept.read_bytes() == data[-kept.stat().st_size :]
    assert REGISTRY.get_sample_value("ssmd_shipper_damaged_files", {"feed": FEED}) == 1.0
    kept.unlink()
    ship()
    ship()
    assert not log.folder.exists()


def test_a_cursor_that_cannot_be_stored_does_not_keep_records_from_the_archive(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    (log.folder / "shipped.tmp").mkdir()  # writing the cursor fails, as on a full disk

    ship()

    assert archived(store) == read_all(log)


def test_a_log_that_is_shorter_than_its_archive_is_reported(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 50)
    ship()
    die(log)
    [path] = segments(log.folder)
    os.truncate(path, path.stat().st_size // 2)
    data = path.read_bytes()

    ship()

    assert path.read_bytes() == data
    assert REGISTRY.get_sample_value("ssmd_shipper_sessions_blocked", {"feed": FEED}) == 1.0


def test_a_damage_in_what_the_archive_has_already_is_no_loss_there(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 50)
    ship()
    written = read_all(log)
    die(log)
    [path] = segments(log.folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    ship()

    *kept, crash, end = archived(store)
    assert kept == written
    assert (crash.n, end.n) == (52, 53)


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (1, 2), (0, 2), (0, 1, 2, 3)])
def test_lost_manifests_leave_holes_that_a_restart_fills_exactly(
    session: SessionMaker, ship: Any, store: DirectoryStore, lost: tuple[int, ...]
) -> None:
    log = session(segment_bytes=2_000)
    for _ in range(4):
        add_trades(log, 10)
        ship()
    keys = part_keys(store, FEED, DAY)
    for index in lost:
        store.delete(keys[index].manifest)
    add_trades(log, 10)

    ship()

    found = [raw.record for raw in read_day(store, FEED, DAY)]  # refuses parts that overlap
    assert found == read_all(log)


def test_a_hole_in_a_session_that_has_ended_is_filled_and_the_session_stays_over(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(at_ns=time.time_ns())
    for _ in range(3):
        add_trades(log, 10)
        ship()
    log.mark(marks.SessionEnd(reason="stopped"))
    die(log)
    ship()
    manifests = sorted(key for key in store.list(f"{FEED}/") if key.endswith(".json") and "_parts" in key)
    store.delete(manifests[1])

    ship()

    assert [record.n for record in archived(store)] == list(range(1, 33))
    assert (
        sorted(key for key in store.list(f"{FEED}/") if key.endswith(".json") and "_parts" in key)
        == manifests
    )

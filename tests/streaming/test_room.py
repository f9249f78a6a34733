from pathlib import Path

import pytest

from streaming import room
from streaming.capture_log import CaptureLog
from streaming.dead_session import SHIPPED, last_record
from streaming.disk import Disk
from streaming.log_reader import CaptureLogReader, Cursor, segments
from streaming.records import Kind, header
from streaming.room import BOOKS, NOTHING, TICKER, TRADES, Room

MIB = 1024 * 1024


def with_room(steps: float) -> Room:
    return Room(used_bytes=0, segments=1, room_bytes=int(steps * MIB), step_bytes=MIB)


@pytest.mark.parametrize(("steps", "level"), [(9, NOTHING), (3, NOTHING), (2.9, TICKER), (1.5, BOOKS), (0.5, TRADES), (-3, TRADES)])  # fmt: skip
def test_the_less_room_the_more_is_dropped(steps: float, level: int) -> None:
    assert with_room(steps).level(NOTHING) == level


def test_a_level_is_left_with_half_a_step_to_spare() -> None:
    assert with_room(3.2).level(TICKER) == TICKER
    assert with_room(3.6).level(TICKER) == NOTHING


def a_log(folder: Path) -> CaptureLog:
    log = CaptureLog(folder, environment="demo", session=folder.name, segment_bytes=300)
    for _ in range(30):
        log.append(b"x" * 40, kind=Kind.TEXT, connection=1)
    return log


def test_all_sessions_of_the_environment_count(tmp_path: Path) -> None:
    logs = [a_log(tmp_path / name) for name in ("one", "other")]

    found = room.look(tmp_path, max_bytes=MIB, disk=Disk())

    assert found.used_bytes == sum(path.stat().st_size for log in logs for path in segments(log.folder))
    assert found.room_bytes == MIB - found.used_bytes


def test_what_is_shipped_goes_and_a_reader_behind_is_told_what(tmp_path: Path) -> None:
    log = a_log(tmp_path / "s")
    Cursor(log.folder / SHIPPED).store(20)
    room.trim_shipped(log.folder)
    first = int(segments(log.folder)[0].stem)
    told: list[tuple[int, int]] = []

    reader = CaptureLogReader(log.folder, on_trimmed=lambda *hole: told.append(hole))

    assert 1 < first <= 21
    assert (reader.read()[0].n, told) == (first, [(1, first - 1)])


def test_of_what_is_shipped_whole_the_last_record_stays_for_whoever_ends_the_session(tmp_path: Path) -> None:
    log = a_log(tmp_path / "s")
    (log.folder / f"{31:020d}.log").write_bytes(header("demo", "s"))  # killed right after it was made
    Cursor(log.folder / SHIPPED).store(30)

    room.trim_shipped(log.folder)

    last = last_record(log.folder)
    assert last is not None
    assert last.n == 30


def test_a_reserve_is_room_that_can_be_given_away(tmp_path: Path) -> None:
    reserve = room.Reserve(tmp_path / "reserve", Disk(), size=MIB)

    assert reserve.hold()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= MIB
    reserve.release()
    assert not (tmp_path / "reserve").exists()
    assert not reserve.is_held

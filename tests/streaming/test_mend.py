from pathlib import Path

import pytest

from streaming import marks
from streaming.capture_log import CaptureLog, Cursor, segments
from streaming.dead_session import FOLLOWED, PUBLISHED, end_dead_session
from streaming.mend import mend_log
from streaming.records import Kind, Record
from streaming.salvage import Hole
from tests.streaming.dead_log import die, read_all


@pytest.fixture
def log(tmp_path: Path) -> CaptureLog:
    """Of 6 segments."""
    log = CaptureLog(tmp_path / "s", environment="demo", session="s", segment_bytes=290)
    for number in range(40):
        log.append(b"frame %d" % number, kind=Kind.TEXT, connection=1)
    assert len(segments(log.folder)) >= 6
    return log


def flip(path: Path, at: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return bytes(data)


def frames(found: list[Record]) -> list[int]:
    return [record.n for record in found if record.kind == Kind.TEXT]


@pytest.mark.parametrize("index", [0, 1, 4, -1])
def test_a_damaged_segment_of_a_dead_log_is_mended_and_what_was_cut_kept(log: CaptureLog, index: int) -> None:
    die(log)
    path = segments(log.folder)[index]
    data = flip(path, 60)

    [mended] = mend_log(log.folder, environment="demo")

    first_n = int(path.stem)
    assert (mended.path, mended.holes) == (path, (Hole(first_n + 1, first_n + 1),))
    found = read_all(log.folder)
    assert [record.n for record in found] == list(range(1, 41))
    assert frames(found) == [n for n in range(1, 41) if n != first_n + 1]
    assert data.endswith(path.with_name(f"{path.name}.damaged").read_bytes())
    assert mend_log(log.folder, environment="demo") == []


def test_a_segment_that_is_gone_is_a_hole_like_another(log: CaptureLog) -> None:
    die(log)
    gone, following = segments(log.folder)[2:4]
    gone.unlink()

    [mended] = mend_log(log.folder, environment="demo")

    assert mended.holes == (Hole(int(gone.stem), int(following.stem) - 1),)
    assert [record.n for record in read_all(log.folder)] == list(range(1, 41))


def test_a_dead_session_is_ended_behind_its_last_sound_record(log: CaptureLog) -> None:
    die(log)
    flip(segments(log.folder)[-1], 60)

    assert end_dead_session(log.folder)

    *found, crash, end = read_all(log.folder)
    assert (len(found), crash.n, end.n) == (40, 41, 42)
    told = [marks.decode(one.payload) for one in (*found, crash) if one.kind == Kind.MARK]
    assert [mark.cause for mark in told if isinstance(mark, marks.GapOpen)] == [
        "capture_loss",
        "process_crash",
    ]


def test_of_a_living_log_only_what_its_readers_have_passed_is_mended(log: CaptureLog) -> None:
    path, following = segments(log.folder)[1:3]
    data = flip(path, 60)
    for n, is_passed in ((int(following.stem) - 2, False), (int(following.stem) - 1, True)):
        Cursor(log.folder / PUBLISHED).store(40)
        Cursor(log.folder / FOLLOWED).store(n)

        assert bool(mend_log(log.folder, environment="demo")) == is_passed
        assert (path.read_bytes() == data) != is_passed

    log.append(b"and on", kind=Kind.TEXT, connection=1)
    assert [record.n for record in read_all(log.folder)] == list(range(1, 42))


def test_a_living_writers_last_segment_is_not_touched(log: CaptureLog) -> None:
    path = segments(log.folder)[-1]
    data = flip(path, 60)
    for name in (PUBLISHED, FOLLOWED):
        Cursor(log.folder / name).store(40)

    assert mend_log(log.folder, environment="demo") == []
    assert path.read_bytes() == data


def test_a_segment_of_another_log_is_not_taken_for_a_damaged_one(log: CaptureLog, tmp_path: Path) -> None:
    die(log)
    other = CaptureLog(tmp_path / "t", environment="demo", session="t")
    path = segments(log.folder)[1]
    path.write_bytes(segments(other.folder)[0].read_bytes())

    assert mend_log(log.folder, environment="demo") == []

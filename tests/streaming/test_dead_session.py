import os
from pathlib import Path

import pytest

from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader, Cursor, segments
from streaming.dead_session import PUBLISHED, SHIPPED, end_dead_session, has_ended, last_record
from streaming.records import Kind, header
from tests.streaming.dead_log import die, read_all


@pytest.fixture
def log(tmp_path: Path) -> CaptureLog:
    log = CaptureLog(tmp_path / "s", environment="demo", session="s", clock=lambda: 1_000, segment_bytes=400)
    for number in range(20):
        log.append(b"frame %d" % number, kind=Kind.TEXT, connection=1)
    return log


def test_the_dead_get_a_crash_mark_and_an_end_mark_with_the_next_n(log: CaptureLog) -> None:
    die(log)

    assert end_dead_session(log.folder)

    *_, last_frame, gap, end = read_all(log.folder)
    assert (last_frame.n, gap.n, end.n) == (20, 21, 22)
    crash = marks.decode(gap.payload)
    assert isinstance(crash, marks.GapOpen)
    assert (crash.cause, crash.after_n, crash.from_ns) == ("process_crash", 20, last_frame.received_ns)
    assert marks.decode(end.payload) == marks.SessionEnd(reason="process_crash")


def test_the_mark_states_what_was_perhaps_never_published(log: CaptureLog) -> None:
    Cursor(log.folder / PUBLISHED).store(15)
    die(log)

    end_dead_session(log.folder)

    crash = marks.decode(read_all(log.folder)[-2].payload)
    assert isinstance(crash, marks.GapOpen)
    assert (crash.unpublished_from, crash.unpublished_to) == (16, 20)


def test_the_living_get_no_mark(log: CaptureLog) -> None:
    assert not end_dead_session(log.folder)
    assert len(read_all(log.folder)) == 20


def test_a_session_is_ended_once(log: CaptureLog) -> None:
    die(log)
    assert end_dead_session(log.folder)

    assert not end_dead_session(log.folder)
    assert has_ended(log.folder)
    assert len(read_all(log.folder)) == 22


def test_a_session_that_ended_by_itself_gets_no_crash_mark(log: CaptureLog) -> None:
    log.mark(marks.SessionEnd(reason="stopped"))
    log.close()

    assert not end_dead_session(log.folder)
    assert len(read_all(log.folder)) == 21


@pytest.mark.parametrize("cut", [1, 5, 20, 30])
def test_a_torn_tail_is_cut_first(log: CaptureLog, cut: int) -> None:
    die(log)
    last = segments(log.folder)[-1]
    os.truncate(last, last.stat().st_size - cut)

    end_dead_session(log.folder)

    found = read_all(log.folder)
    assert [record.n for record in found] == list(range(1, len(found) + 1))
    assert has_ended(log.folder)
    assert len(found) == 21


def test_the_last_record_is_found_before_a_segment_that_holds_none(log: CaptureLog) -> None:
    die(log)
    (log.folder / f"{21:020d}.log").write_bytes(b"")

    last = last_record(log.folder)

    assert last is not None
    assert last.n == 20
    assert end_dead_session(log.folder)
    assert [record.n for record in read_all(log.folder)] == list(range(1, 23))


def test_a_session_of_which_only_an_empty_segment_is_left_is_ended_with_the_next_n(log: CaptureLog) -> None:
    die(log)
    for path in segments(log.folder):
        path.unlink()
    (log.folder / f"{21:020d}.log").write_bytes(header("demo", "s"))
    Cursor(log.folder / SHIPPED).store(20)
    Cursor(log.folder / PUBLISHED).store(20)

    assert end_dead_session(log.folder)

    crash, end = CaptureLogReader(log.folder, from_n=21).read()
    mark = marks.decode(crash.payload)
    assert isinstance(mark, marks.GapOpen)
    assert (crash.n, mark.after_n, mark.unpublished_to, end.n) == (21, 20, 0, 22)


def test_the_end_is_not_received_before_what_stands_in_an_earlier_segment(tmp_path: Path) -> None:
    log = CaptureLog(tmp_path / "s", environment="demo", session="s")
    log.last_received_ns = 2**62 - 1  # the wall clock was set back since
    log.append(b"frame", kind=Kind.TEXT, connection=1)
    die(log)
    (log.folder / f"{2:020d}.log").write_bytes(header("demo", "s"))  # killed right after it was made

    end_dead_session(log.folder)

    assert [record.received_ns - 2**62 for record in read_all(log.folder)] == [0, 1, 2]

"""The conversation remembers how far it has read, and gives up when the log went before it."""

from pathlib import Path

from streaming.capture_log import CaptureLog
from streaming.dead_session import FOLLOWED
from streaming.kalshi.followed import FollowedLog
from streaming.kalshi.protocol_error import ProtocolError
from streaming.log_reader import Cursor, segments
from streaming.records import Kind


def a_log(folder: Path, frames: int) -> CaptureLog:
    log = CaptureLog(folder, environment="demo", session=folder.name, segment_bytes=2_000)
    for _ in range(frames):
        log.append(b"x" * 100, kind=Kind.TEXT, connection=1)
    return log


def test_what_was_read_is_remembered_when_asked(tmp_path: Path) -> None:
    log = a_log(tmp_path / "s", 10)
    reader = FollowedLog(log.folder, lambda error: None)
    reader.read()
    assert Cursor(log.folder / FOLLOWED).load() == 0

    reader.remember()

    assert Cursor(log.folder / FOLLOWED).load() == 10
    log.close()


def test_records_that_went_unread_end_the_conversation_and_not_the_process(tmp_path: Path) -> None:
    given_up: list[ProtocolError] = []
    log = a_log(tmp_path / "s", 5)
    reader = FollowedLog(log.folder, given_up.append)
    reader.read()
    for _ in range(100):
        log.append(b"x" * 100, kind=Kind.TEXT, connection=1)
    log.close()
    for path in segments(log.folder)[:-1]:
        path.unlink()

    read = []
    while found := reader.read():
        read += found

    assert read[-1].n == 105
    assert [str(error) for error in given_up] == [
        f"records 6 to {read[0].n - 1} were removed to make room, unread"
    ]

"""What a crashed connector could not write itself: the gap mark and the end mark of its session."""

from pathlib import Path

from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader, Cursor, names_of, segments
from streaming.events import GapNotice
from streaming.file_lock import Locked
from streaming.kalshi.normalizer import gap_notice
from streaming.records import Kind, Record

PUBLISHED = "published.cursor"
ANNOUNCED = "announced"


def end_dead_session(folder: Path) -> bool:
    """Cut the torn tail and append `process_crash` and end marks, unless the writer lives or wrote its end mark.

    Safe to call from several processes at once: the log's writer lock lets one of them do it.
    """
    last = last_record(folder)
    if last is None or is_end(last):
        return False
    names = names_of(folder)
    if names is None:
        return False
    try:
        log = CaptureLog(folder, environment=names[0], session=names[1])
    except Locked:
        return False
    try:
        last = last_record(folder)
        if last is None or is_end(last):
            return False
        if not _is_crash(last):  # a full disk may have taken the crash mark and not the end mark
            log.mark(_crash_mark(folder, last))
        log.mark(marks.SessionEnd(reason="process_crash"))
        return True
    finally:
        log.close()


def unannounced(folder: Path) -> GapNotice | None:
    """What the bus should be told of a session that has ended: its crash, or what it could not publish."""
    if (folder / ANNOUNCED).exists():
        return None
    last = last_record(folder)
    if last is None or not is_end(last):
        return None
    crash = _crash_of(folder, last)
    if crash is not None:
        return gap_notice(folder.name, *crash)
    published = Cursor(folder / PUBLISHED).load()
    if published >= last.n - 1:  # the end mark itself makes no event
        return None
    return GapNotice(
        cause="stream_hole",
        session=folder.name,
        number=last.n,
        connection=0,
        from_ns=last.received_ns,
        to_ns=None,
        unpublished=(published + 1, last.n),
    )


def announced(folder: Path) -> None:
    """Remember that the bus was told."""
    (folder / ANNOUNCED).touch()


def _crash_of(folder: Path, last: Record) -> tuple[int, marks.GapOpen] | None:
    """(n, mark) of the crash mark that stands before the end mark."""
    if marks.decode(last.payload) != marks.SessionEnd(reason="process_crash"):
        return None
    starts = [int(path.stem) for path in segments(folder) if int(path.stem) < last.n]
    if not starts:
        return None  # its segment is shipped and gone
    reader = CaptureLogReader(folder, from_n=starts[-1])
    before = None
    while records := reader.read():
        before = next((record for record in records if record.n == last.n - 1), before)
    mark = marks.decode(before.payload) if before and before.kind == Kind.MARK else None
    return (last.n - 1, mark) if isinstance(mark, marks.GapOpen) else None


def has_ended(folder: Path) -> bool:
    """Whether the session's last record is its end mark."""
    last = last_record(folder)
    return last is not None and is_end(last)


def last_record(folder: Path) -> Record | None:
    """The last whole record of a session's log."""
    for segment in reversed(segments(folder)):
        reader = CaptureLogReader(folder, from_n=int(segment.stem))
        last = None
        while records := reader.read():
            last = records[-1]
        if last is not None:
            return last
    return None


def is_end(record: Record) -> bool:
    """Whether this record is a session's end mark."""
    return record.kind == Kind.MARK and isinstance(marks.decode(record.payload), marks.SessionEnd)


def _is_crash(record: Record) -> bool:
    mark = marks.decode(record.payload) if record.kind == Kind.MARK else None
    return isinstance(mark, marks.GapOpen) and mark.cause == "process_crash"


def _crash_mark(folder: Path, last: Record) -> marks.GapOpen:
    published = Cursor(folder / PUBLISHED).load()
    unpublished = (published + 1, last.n) if published < last.n else (0, 0)
    return marks.GapOpen(
        cause="process_crash",
        connection=0,
        from_ns=last.received_ns,
        after_n=last.n,
        fault="ours",
        healable=False,
        unpublished_from=unpublished[0],
        unpublished_to=unpublished[1],
    )

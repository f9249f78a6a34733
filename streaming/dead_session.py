"""What a crashed connector could not write itself: the gap mark and the end mark of its session."""

from pathlib import Path

from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.events import GapNotice
from streaming.file_lock import Locked
from streaming.kalshi.normalizer import gap_notice
from streaming.log_reader import FOLLOWED as FOLLOWED
from streaming.log_reader import PUBLISHED as PUBLISHED
from streaming.log_reader import SHIPPED as SHIPPED
from streaming.log_reader import CaptureLogError, CaptureLogReader, Cursor, names_of, segments
from streaming.log_reader import last_record as last_record
from streaming.mend import mend_end
from streaming.records import Kind, Record

ANNOUNCED = "announced"


def end_dead_session(folder: Path, *, environment: str | None = None) -> bool:
    """Cut the torn tail and append `process_crash` and end marks, unless the writer lives or wrote its end mark.

    Safe to call from several processes at once: the log's writer lock lets one of them do it. Raises CaptureLogError
    where the log ends before what was shipped of it: a mark would take an n that the archive knows as something else;
    and where it is another session's or, if `environment` is given, another environment's.
    """
    if not segments(folder):
        return False
    last = last_record(folder)
    if last is not None and is_end(last):
        return False
    # Killed while it made its first segment: only the folder says what was to be recorded.
    names = names_of(folder) or (environment or folder.parent.name, folder.name)
    if names != (environment or names[0], folder.name):
        raise CaptureLogError(f"{folder} holds the log of {names[0]}, session {names[1]}")
    mend_end(folder, environment=names[0])
    _require_whole(folder, last_record(folder))
    try:
        log = CaptureLog(folder, environment=names[0], session=names[1])
    except Locked:
        return False
    try:
        last = last_record(folder)
        if last is not None and is_end(last):
            return False
        _require_whole(folder, last)
        if last is None or not _is_crash(
            last
        ):  # a full disk may have taken the crash mark and not the end mark
            log.mark(_crash_mark(folder, last))
        log.mark(marks.SessionEnd(reason="process_crash"))
        return True
    finally:
        log.close()


def _require_whole(folder: Path, last: Record | None) -> None:
    """Its end may be damaged or cut: then records that are shipped have the next n already."""
    shipped, last_n = Cursor(folder / SHIPPED).load(), _last_n(folder, last)
    if last_n < shipped:
        raise CaptureLogError(
            f"{folder} ends at record {last_n}; {shipped} were shipped: its end is damaged or cut"
        )


def _last_n(folder: Path, last: Record | None) -> int:
    """Of a log without a record its segment tells which came before."""
    return last.n if last else int(segments(folder)[-1].stem) - 1


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
    while found := reader.read():
        before = next((record for record in found if record.n == last.n - 1), before)
    mark = marks.decode(before.payload) if before and before.kind == Kind.MARK else None
    return (last.n - 1, mark) if isinstance(mark, marks.GapOpen) else None


def has_ended(folder: Path) -> bool:
    """Whether the session's last record is its end mark."""
    last = last_record(folder)
    return last is not None and is_end(last)


def is_end(record: Record) -> bool:
    """Whether this record is a session's end mark."""
    return record.kind == Kind.MARK and isinstance(marks.decode(record.payload), marks.SessionEnd)


def _is_crash(record: Record) -> bool:
    mark = marks.decode(record.payload) if record.kind == Kind.MARK else None
    return isinstance(mark, marks.GapOpen) and mark.cause == "process_crash"


def _crash_mark(folder: Path, last: Record | None) -> marks.GapOpen:
    last_n = _last_n(folder, last)
    published = Cursor(folder / PUBLISHED).load()
    unpublished = (published + 1, last_n) if published < last_n else (0, 0)
    return marks.GapOpen(
        cause="process_crash",
        connection=0,
        from_ns=last.received_ns if last else (folder / "writer.lock").stat().st_mtime_ns,
        after_n=last_n,
        fault="ours",
        healable=False,
        unpublished_from=unpublished[0],
        unpublished_to=unpublished[1],
    )

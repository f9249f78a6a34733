"""What is wrong with a session's capture log: which segment, at which byte, and how many records cannot be read."""

from collections.abc import Iterator
from pathlib import Path

from archive.damage import Finding
from streaming import records
from streaming.capture_log import is_writer_alive
from streaming.dead_session import SHIPPED, has_ended, is_end
from streaming.log_reader import CaptureLogError, Cursor, segments
from streaming.records import Record, find_record, unpack


def examine_logs(capture: Path) -> Iterator[Finding]:
    """Every damage in an environment's logs; the end of one that died is the shipper's to judge."""
    for folder in sorted(path for path in capture.glob("*") if path.is_dir() and segments(path)):
        yield from examine_log(folder, is_growing=is_writer_alive(folder) or not _has_ended(folder))


def _has_ended(folder: Path) -> bool:
    try:
        return has_ended(folder)
    except CaptureLogError:
        return True  # and damaged


def examine_log(folder: Path, *, is_growing: bool = False) -> Iterator[Finding]:
    """Every damage of a log; of a living writer's last segment the end may be half written.

    A log that ends too early without another sign lacks its end mark: the shipper then marks a crash.
    """
    shipped = Cursor(folder / SHIPPED).load()  # before the log: both go on while it is read
    paths = segments(folder)
    last: Record | None = None
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        until_n = int(following.stem) if following else None
        findings, found = _examine_segment(path, folder.name, until_n, is_growing=is_growing)
        last = found or last
        yield from findings
    last_n = last.n if last else 0
    if last_n < shipped:
        yield Finding(str(paths[-1] if paths else folder), f"ends at record {last_n}; {shipped} were shipped")
    elif paths and not is_growing and (last is None or not is_end(last)):
        yield Finding(str(paths[-1]), "has no end mark: its writer died, or its end is cut", None, 0)


def _examine_segment(
    path: Path, session: str, until_n: int | None, *, is_growing: bool
) -> tuple[list[Finding], Record | None]:
    """(what is wrong, the last record that can be read); `until_n` is the following segment's first n."""
    try:
        data, first_n = path.read_bytes(), int(path.stem)
    except FileNotFoundError:  # committed and trimmed since it was listed
        return [], None
    try:
        header = records.read_header(data)
    except records.NotALog as error:
        return [Finding(str(path), str(error), 0, (until_n or first_n) - first_n)], None
    if header is None or header[1] != session:
        problem = "its header is cut short" if header is None else f"is of session {header[1]}"
        return [Finding(str(path), problem, 0, (until_n or first_n) - first_n)], None
    return _examine_records(path, data, header[2], until_n, is_growing=is_growing)


def _examine_records(
    path: Path, data: bytes, at: int, until_n: int | None, *, is_growing: bool
) -> tuple[list[Finding], Record | None]:
    findings: list[Finding] = []
    last, due = None, int(path.stem)
    while at < len(data):
        sound = unpack(data, at)
        found = sound or find_record(data, at)
        if found is None:
            break
        record, end = found
        if record.n != due or sound is None:
            findings.append(Finding(str(path), _instead(due, record.n), at, max(record.n - due, 0)))
        due, at, last = max(due, record.n + 1), end, record
    if until_n is not None and due < until_n:
        findings.append(Finding(str(path), f"ends before record {due}", at, until_n - due))
    elif at < len(data) and not (is_growing and until_n is None):
        findings.append(Finding(str(path), f"{len(data) - at} bytes at its end are no record", at, 1))
    return findings, last


def _instead(due: int, n: int) -> str:
    if n < due:
        return f"holds record {n} once more"
    return f"records {due} to {n - 1} cannot be read" if n > due else f"holds what is no record before {n}"

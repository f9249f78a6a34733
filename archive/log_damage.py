"""What is wrong with a session's capture log: which segment, at which byte, and how many records cannot be read."""

from collections.abc import Iterator
from pathlib import Path

from archive.damage import Finding
from streaming import records
from streaming.dead_session import SHIPPED, is_end
from streaming.log_reader import Cursor, segments
from streaming.records import Record, find_record, unpack


def examine_log(folder: Path, *, is_writer_alive: bool = False) -> Iterator[Finding]:
    """Every damage of a log; of a living writer's last segment the end may be half written.

    A log that ends too early without another sign lacks its end mark: the shipper then marks a crash.
    """
    paths = segments(folder)
    last: Record | None = None
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        until_n = int(following.stem) if following else None
        findings, found = _examine_segment(path, folder.name, until_n, is_growing=is_writer_alive)
        last = found or last
        yield from findings
    last_n, shipped = last.n if last else 0, Cursor(folder / SHIPPED).load()
    if last_n < shipped:
        yield Finding(str(paths[-1] if paths else folder), f"ends at record {last_n}; {shipped} were shipped")
    elif paths and not is_writer_alive and (last is None or not is_end(last)):
        yield Finding(str(paths[-1]), "has no end mark: its writer died, or its end is cut", None, 0)


def _examine_segment(
    path: Path, session: str, until_n: int | None, *, is_growing: bool
) -> tuple[list[Finding], Record | None]:
    """(what is wrong, the last record that can be read); `until_n` is the following segment's first n."""
    data, first_n = path.read_bytes(), int(path.stem)
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
    findings, last, due = [], None, int(path.stem)
    while True:
        while (found := unpack(data, at)) is not None:
            last = found[0]
            if last.n != due:
                findings.append(Finding(str(path), f"holds record {last.n} where {due} was due", at, 1))
            due, at = last.n + 1, found[1]
        behind = find_record(data, at)
        if behind is None:
            break
        problem = f"records {due} to {behind[0].n - 1} cannot be read"
        findings.append(Finding(str(path), problem, at, behind[0].n - due))
        due, at = behind[0].n, behind[1]
    if until_n is not None and due < until_n:
        findings.append(Finding(str(path), f"ends before record {due}", at, until_n - due))
    elif until_n is None and at < len(data) and not is_growing:
        findings.append(Finding(str(path), f"{len(data) - at} bytes at its end are no record", at, 1))
    return findings, last

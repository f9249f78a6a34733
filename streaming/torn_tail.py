"""The end of a dead writer's segment: what is torn is cut, what is damaged is kept beside it."""

import os
from pathlib import Path
from typing import NamedTuple

from streaming import records
from streaming.durable import keep_damaged
from streaming.file_lock import lock_handle
from streaming.log_reader import CaptureLogError
from streaming.records import unpack


class SegmentEnd(NamedTuple):
    """An open, locked segment to append to; `size` in bytes, last_n and last_received_ns of its last record."""

    handle: int
    size: int
    last_n: int
    last_received_ns: int


def go_on(path: Path, header: bytes) -> SegmentEnd:
    """Open a dead writer's last segment; raises Locked, and CaptureLogError where it is not what it should be.

    What is cut of a damaged segment is kept beside it: sound records may lie behind the damage.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    try:
        lock_handle(handle, path)
        _make_header_whole(handle, path, header)
        return _cut(handle, path, len(header))
    except BaseException:
        os.close(handle)
        raise


def _make_header_whole(handle: int, path: Path, header: bytes) -> None:
    """Its writer may have been killed while it made the segment."""
    found = os.pread(handle, len(header), 0)
    if not header.startswith(found):
        raise CaptureLogError(f"{path} belongs to another session or is of another format")
    os.write(handle, header[len(found) :])


def _cut(handle: int, path: Path, start: int) -> SegmentEnd:
    data, end = path.read_bytes(), start
    last_n, last_received_ns = int(path.stem) - 1, 0
    while (found := unpack(data, end)) is not None:
        record, end = found
        last_n, last_received_ns = record.n, record.received_ns
    if records.is_followed_by_a_record(data, end):
        keep_damaged(path, data[end:])
    os.ftruncate(handle, end)
    return SegmentEnd(handle, end, last_n, last_received_ns)

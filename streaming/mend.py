"""Mends the damaged segments of a capture log, so that what is sound of them reaches the archive, and a mark for the rest.

A living writer's last segment is never touched, and no segment that its readers may still have before them: they stand
at a byte of it.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog

from streaming import capture_metrics, records
from streaming.disk import Disk
from streaming.durable import keep_damaged
from streaming.file_lock import FileLock, Locked, is_locked
from streaming.log_reader import FOLLOWED, PUBLISHED, Cursor, segments
from streaming.salvage import Hole, Place, salvage, sound_records

log = structlog.get_logger()


class Mended(NamedTuple):
    """A segment that was replaced, and what of it was lost."""

    path: Path
    holes: tuple[Hole, ...]


def mend_log(folder: Path, *, environment: str, from_n: int = 1) -> list[Mended]:
    """Replace what is damaged of the segments that hold `from_n` or more; returns what was replaced.

    The caller holds the session's shipper lock. What was damaged is kept beside. Raises OSError.
    """
    with suppress(Locked), FileLock(folder / "writer.lock"):
        paths = segments(folder)
        if not any(is_locked(path) for path in paths[-1:]):
            return _mend(paths, len(paths), environment=environment, from_n=from_n)
    paths = segments(folder)
    read = min(Cursor(folder / name).load() for name in (PUBLISHED, FOLLOWED))
    passed = sum(int(following.stem) - 1 <= read for following in paths[1:])
    return _mend(paths, passed, environment=environment, from_n=from_n)


def mend_end(folder: Path, *, environment: str) -> None:
    """The same for a dead writer's last segment, which is to be gone on with; a tail that is only torn stays. Raises OSError."""
    with suppress(Locked), FileLock(folder / "writer.lock"):
        paths = segments(folder)
        if not is_locked(paths[-1]):
            _mend_segment(paths, len(paths) - 1, environment)


def _mend(paths: Sequence[Path], count: int, *, environment: str, from_n: int) -> list[Mended]:
    """The first `count` of these segments."""
    wanted = (
        index for index in range(count) if index + 1 == len(paths) or int(paths[index + 1].stem) > from_n
    )
    return [mended for index in wanted if (mended := _mend_segment(paths, index, environment))]


def _mend_segment(paths: Sequence[Path], index: int, environment: str) -> Mended | None:
    path, data = paths[index], paths[index].read_bytes()
    header = records.header(environment, path.parent.name)
    is_last = index + 1 == len(paths)
    if records.is_foreign(data, header) or (is_last and len(data) < len(header)):
        return None
    place = Place(header, int(path.stem), None if is_last else int(paths[index + 1].stem), 0, 1)
    if salvage(data, place) is None:
        return None
    before_ns, after_ns = (
        _last_ns(paths[:index], header, place.first_n),
        _first_ns(paths[index + 1 :], header),
    )
    salvaged = salvage(data, place._replace(before_ns=before_ns, after_ns=after_ns))
    if salvaged is None:
        return None
    keep_damaged(path, data[salvaged.damaged_at :])
    os.close(Disk().make(path, salvaged.data))
    lost = sum(hole.last_n - hole.first_n + 1 for hole in salvaged.holes)
    capture_metrics.LOST_RECORDS.inc(lost)
    log.error("damaged segment mended", session=path.parent.name, segment=path.name, records_lost=lost)
    return Mended(path, salvaged.holes)


def _last_ns(before: Sequence[Path], header: bytes, until_n: int) -> int:
    """When the last record before these was received; 0 where none is left."""
    found = 0
    for path in before[-1:]:
        for record in sound_records(path.read_bytes(), Place(header, int(path.stem), until_n, 0, 0)):
            found = record.received_ns
    return found


def _first_ns(after: Sequence[Path], header: bytes) -> int:
    """When the first record that follows was received; 0 where none does."""
    for path in after:
        place = Place(header, int(path.stem), None, 0, 0)
        for record in sound_records(path.read_bytes(), place):
            return record.received_ns
    return 0

"""Room for the capture logs of one environment: how much there is, what may go, and a reserve for the marks."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from streaming.dead_session import SHIPPED
from streaming.disk import Disk
from streaming.log_reader import Cursor, segments

GIB = 1024**3
MAX_BYTES = 20 * GIB
_MOST_RESERVE_BYTES = 4 * 1024 * 1024
_MOST_STEP_BYTES = 64 * 1024 * 1024
# Levels of the policy: nothing is dropped, ticker, order books as well, trades as well.
NOTHING, TICKER, BOOKS, TRADES = range(4)


@dataclass(frozen=True, slots=True)
class Room:
    """What the logs take, and what they may still take; `step_bytes` is the unit in which it is judged."""

    used_bytes: int
    segments: int
    room_bytes: int
    step_bytes: int

    @property
    def is_short(self) -> bool:
        """Whether what is shipped should go, published or not."""
        return self.room_bytes < 4 * self.step_bytes

    def level(self, present: int) -> int:
        """The policy's level: taken at once, and left with half a step to spare, so that it does not flutter."""
        wanted = _level(self.room_bytes, self.step_bytes)
        return max(wanted, min(present, _level(self.room_bytes - self.step_bytes // 2, self.step_bytes)))


def _level(room_bytes: int, step_bytes: int) -> int:
    return TRADES - min(max(room_bytes // step_bytes, 0), TRADES)


def step_of(max_bytes: int) -> int:
    """The unit in which room is judged, and the most that a segment takes of it."""
    return min(_MOST_STEP_BYTES, max_bytes // 16)


def reserve_of(max_bytes: int) -> int:
    """Enough for the marks of hours."""
    return min(_MOST_RESERVE_BYTES, max_bytes // 64)


def look(capture: Path, *, max_bytes: int, disk: Disk) -> Room:
    """The environment's logs as they are now."""
    sizes = list(_sizes(capture))
    used = sum(sizes)
    room = min(max_bytes - used, disk.free_bytes(capture))
    return Room(used, len(sizes), room, step_of(max_bytes))


def _sizes(capture: Path) -> Iterator[int]:
    for path in capture.glob("*/*.log*"):
        with suppress(FileNotFoundError):  # trimmed just now
            yield path.stat().st_size


def trim_shipped(folder: Path) -> None:
    """Delete the segments of a session that the archive has, though the bus may not: it is healed from there.

    The cursor is written by the shipper after its commit: what it names is committed. As with the shipper's own trim a
    record stays, so that a dead session can be ended.
    """
    shipped = Cursor(folder / SHIPPED).load()
    for path, following in pairwise(segments(folder)):
        if int(following.stem) > shipped:
            return
        path.unlink(missing_ok=True)


class Reserve:
    """A file that takes up room until the disk is full: then it goes, and the marks of the loss have its place."""

    def __init__(self, path: Path, disk: Disk, *, size: int) -> None:
        self._path, self._disk, self._size = path, disk, size
        self.is_held = False

    def hold(self) -> bool:
        """Take the room up, if it is there; whether it is held."""
        if self.is_held or self._disk.free_bytes(self._path.parent) < 2 * self._size:
            return self.is_held  # what little there is, is for the marks
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return False
        try:
            self._disk.allocate(handle, self._size)
            self.is_held = True
        except OSError:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(handle)
        return self.is_held

    def release(self) -> None:
        """Give the room to the marks."""
        self._path.unlink(missing_ok=True)
        self.is_held = False

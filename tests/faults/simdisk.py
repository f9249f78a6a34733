"""Disks that fail: too small, too slow, refusing to sync, losing power."""

import errno
import os
import threading
from pathlib import Path

from streaming.disk import Disk

MIB = 1024 * 1024


class SmallDisk(Disk):
    """Holds so many bytes below `folder`, and then no more. A quota is not seen before it is reached."""

    def __init__(self, folder: Path, *, size: int, is_quota: bool = False) -> None:
        self._folder, self.size, self._is_quota = folder, size, is_quota

    def free_bytes(self, folder: Path) -> int:
        return super().free_bytes(folder) if self._is_quota else self._room()

    def _room(self) -> int:
        used = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return max(self.size - used, 0)

    def write(self, handle: int, data: bytes) -> int:
        room = self._room()
        if not room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(handle, data[:room])

    def allocate(self, handle: int, size: int) -> None:
        if self._room() < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().allocate(handle, size)


class DurableSizes(Disk):
    """Notes how long each file was when it was last synced: a power cut may leave any length from there on."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}  # by inode

    def sync(self, handle: int) -> None:
        found = os.fstat(handle)
        super().sync(handle)
        self.sizes[found.st_ino] = found.st_size


class FailingDisk(DurableSizes):
    """Fails to sync what was synced before, `times` times after `after` good ones (and, if more than once, new files too).

    It forgets what it had not synced, as the kernel may.
    """

    def __init__(self, *, after: int, times: int) -> None:
        super().__init__()
        self._after, self._times = after, times
        self.syncs = 0

    def sync(self, handle: int) -> None:
        found = os.fstat(handle)
        is_new = found.st_ino not in self.sizes
        self.syncs += not is_new
        is_bad = self._after < self.syncs <= self._after + self._times
        if not is_bad or (is_new and self._times == 1):
            super().sync(handle)
            return
        os.ftruncate(handle, self.sizes.get(found.st_ino, 0))
        os.ftruncate(handle, found.st_size)
        raise OSError(errno.EIO, os.strerror(errno.EIO))


class SlowDisk(Disk):
    """A sync takes until the test lets it end, or `most_seconds`."""

    def __init__(self, *, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self.may_end = threading.Event()
        self.may_end.set()
        self.is_syncing = threading.Event()

    def sync(self, handle: int) -> None:
        if not self.may_end.is_set():
            self.is_syncing.set()
            self.may_end.wait(self._most_seconds)
        super().sync(handle)
        self.is_syncing.clear()

"""What the capture log asks of the disk: a test hands it a small one, or one that loses what it took."""

import errno
import fcntl
import os
from pathlib import Path

from streaming import failpoints
from streaming.durable import sync_folder

EXIT_IO_ERROR = 74  # EX_IOERR of sysexits.h
# A file may also be as large as it may become (RLIMIT_FSIZE): for us that is a full disk, too.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFailed(Exception):
    """What was received can no longer be kept: the process has to end, with this exit code."""

    exit_code = EXIT_IO_ERROR


def has_no_room(error: OSError) -> bool:
    """Whether the disk is full, rather than broken."""
    return error.errno in _NO_ROOM


class Disk:
    """The real one."""

    def write(self, handle: int, data: bytes) -> int:
        """How many bytes it took; raises OSError."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """Return once all that was written is on the disk; raises OSError."""
        failpoints.reach("capture.sync")
        os.fdatasync(handle)

    def free_bytes(self, folder: Path) -> int:
        """What an ordinary user may still write there."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize

    def allocate(self, handle: int, size: int) -> None:
        """Take up room for a file; raises OSError."""
        os.posix_fallocate(handle, 0, size)

    def write_all(self, handle: int, data: bytes) -> None:
        """All of it; raises OSError."""
        while data:
            data = data[self.write(handle, data) :]

    def sync_name(self, path: Path) -> None:
        """Return once the name of a created file is on the disk; raises OSError."""
        sync_folder(path.parent)

    def make(self, path: Path, data: bytes) -> int:
        """`create`, and its name on the disk."""
        handle = self.create(path, data)
        try:
            self.sync_name(path)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def create(self, path: Path, data: bytes) -> int:
        """A file that has its name only once it holds `data` on the disk; returns its handle, locked, to append to.

        A file of that name is replaced. Its name is on the disk after `sync_name`.
        """
        fresh = path.with_name(f"{path.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.write_all(handle, data)
            self.sync(handle)
            failpoints.reach("capture.new_segment")
            fresh.replace(path)
        except BaseException:
            os.close(handle)
            fresh.unlink(missing_ok=True)
            raise
        return handle

"""A lock that ends with its process: flock on a file."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class Locked(Exception):
    """Another process holds the lock."""


class FileLock:
    """Held from its making until released, or until the process is gone.

    Who deletes the file breaks the lock: the next one locks another file of that name. What must never have two
    holders (a session's log) is therefore locked at the file that is written, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        while True:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                lock_handle(self._handle, path)
            except Locked:
                os.close(self._handle)
                raise
            if self.is_held():
                return
            os.close(self._handle)  # deleted by its holder, while we waited to open it

    def is_held(self) -> bool:
        """Whether the file that others would lock is still ours."""
        try:
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock up."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def lock_handle(handle: int, path: Path) -> None:
    """Lock an open file until it is closed; raises Locked."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Locked(f"{path} is locked by another process") from None


def is_locked(path: Path) -> bool:
    """Whether somebody holds this file's lock; the file must exist."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lock_handle(handle, path)
    except Locked:
        return True
    finally:
        os.close(handle)
    return False

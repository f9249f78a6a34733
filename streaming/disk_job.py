"""What a thread does for the capture log while its writer goes on: sync a segment, make the next one, or both."""

import os
import threading
from pathlib import Path

from streaming.disk import Disk


class DiskJob:
    """First `handle` is synced (a descriptor of its own), then a segment with `data` made at `path`; either may be absent.

    The new segment is made only when the old one is on the disk: else a power cut could leave a hole between them.
    """

    def __init__(self, disk: Disk, *, handle: int = -1, path: Path | None = None, data: bytes = b"") -> None:
        self._disk = disk
        self._path = path
        self._turn = threading.Lock()  # taken by whoever runs it
        self._is_done = threading.Event()
        self.handle, self.data, self.created = handle, data, -1
        self.sync_error: OSError | None = None
        self.create_error: OSError | None = None

    def run(self) -> None:
        """Do it, in any thread, once; what went wrong is kept."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._sync()
            if self._path is not None and self.sync_error is None:
                self._create(self._path)
        finally:
            self._is_done.set()

    def finish(self) -> None:
        """Until it was run; here, if its thread never came to it: it may have been cancelled while it was waiting."""
        self.run()
        self._is_done.wait()

    def _sync(self) -> None:
        if self.handle < 0:
            return
        try:
            self._disk.sync(self.handle)
        except OSError as error:
            self.sync_error = error
        finally:
            os.close(self.handle)

    def _create(self, path: Path) -> None:
        """With `created` and an error, too, the segment is there, and its name may not survive a power cut."""
        try:
            self.created = self._disk.create(path, self.data)
            self._disk.sync_name(path)
        except OSError as error:
            self.create_error = error

"""The capture log: every received frame, and every mark of our own, on disk before anything reads it.

One folder per session, `<capture>/<environment>/<session>/`, holds segments named by the n of their first record
(`00000000000000000001.log`); `streaming.records` states their format, `streaming.log_reader` reads them.

A record is numbered when it is appended and handed to the kernel at the end of the event loop's turn; nobody can have
read it before. From there it is forced to the disk by `begin_sync`, the job in a thread, and `end_sync`.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from streaming import failpoints, marks, records
from streaming.disk import Disk, DiskFailed, has_no_room
from streaming.disk_job import DiskJob
from streaming.durable import make_folder
from streaming.file_lock import FileLock
from streaming.log_reader import CaptureLogError as CaptureLogError
from streaming.log_reader import CaptureLogReader as CaptureLogReader
from streaming.log_reader import Cursor as Cursor
from streaming.log_reader import is_writer_alive as is_writer_alive
from streaming.log_reader import last_record
from streaming.log_reader import names_of as names_of
from streaming.log_reader import segments as segments
from streaming.records import pack_fields
from streaming.torn_tail import go_on
from streaming.unsynced import Unsynced

SEGMENT_BYTES = 64 * 1024 * 1024
HELD_BYTES = 1024 * 1024  # in one turn of the loop; more is written at once
MOST_HELD_BYTES = 32 * 1024 * 1024  # while a job is awaited
NEW_SEGMENT_AGAIN_SECONDS = 1.0

Schedule = Callable[[Callable[[], None]], object]


def _nothing() -> None:
    """Nobody wants to know."""


class CaptureLog:
    """The session's one writer.

    With `schedule` (a loop's `call_soon`) records are written at the end of its turn, and a full disk makes the log
    hold them (`is_stuck`); without it each is written, or refused by OSError, when it is appended. `on_append` is
    called when records have become readable, `on_stuck` when the disk takes no more, `on_job_due` when writing waits
    for a job in a thread.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: str,
        session: str,
        clock: Callable[[], int] = time.time_ns,
        segment_bytes: int = SEGMENT_BYTES,
        schedule: Schedule | None = None,
        disk: Disk | None = None,
    ) -> None:
        make_folder(folder)
        self.folder = folder
        self.on_append: Callable[[], None] = _nothing
        self.on_stuck: Callable[[], None] = _nothing
        self.on_job_due: Callable[[], None] = _nothing
        self.failures = 0
        self._lock = FileLock(folder / "writer.lock")
        self._clock, self._disk, self._schedule = clock, disk or Disk(), schedule
        self._segment_bytes = segment_bytes
        self._header = records.header(environment, session)
        self.last_n = self.last_received_ns = 0
        self._file, self._written = -1, len(self._header)
        self._held: list[bytes] = []  # numbered, and not yet handed to the kernel
        self._held_bytes, self._held_since, self._no_segment_before = 0, 0.0, 0.0  # monotonic seconds
        self._rest = b""  # of what was handed over: what the kernel did not take
        self._flushed_n = 0
        self._is_scheduled = self._is_segment_due = self._is_to_replace = self._has_no_room = False
        self._job: DiskJob | None = None
        try:
            if segments(folder):
                self._continue()
            else:
                self._file = self._disk.make(self._path_of(1), self._header)
        except BaseException:
            self._lock.release()
            raise
        self._flushed_n = self.last_n
        self._unsynced = Unsynced(synced_n=self.last_n)

    def append(self, payload: bytes, *, kind: int, connection: int, received_ns: int | None = None) -> int:
        """Take one record and return its n."""
        now = self._clock() if received_ns is None else received_ns
        stamped = now if now > self.last_received_ns else self.last_received_ns + 1
        data = pack_fields(self.last_n + 1, stamped, connection, kind, payload)
        self.last_n += 1
        self.last_received_ns = stamped
        if not self._held:
            self._held_since = time.monotonic()
        self._held.append(data)
        self._held_bytes += len(data)
        if self._schedule is None:
            self.flush()
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._schedule(self._flush_in_turn)
        elif self._held_bytes > HELD_BYTES:
            self._flush_or_hold()
        return self.last_n

    def mark(self, mark: marks.Mark, *, connection: int = 0) -> int:
        """Append a mark of our own."""
        return self.append(marks.encode(mark), kind=records.Kind.MARK, connection=connection)

    # -- to the kernel ----------------------------------------------------------------------------

    @property
    def is_stuck(self) -> bool:
        """Whether nothing should be appended that can be left out: the disk is full, or far too slow."""
        return self._has_no_room or self._held_bytes > MOST_HELD_BYTES

    @property
    def held_bytes(self) -> int:
        """Of records that nobody can read yet."""
        return self._held_bytes + len(self._rest)

    @property
    def unsynced_seconds(self) -> float:
        """The age of the oldest record that may not be on the disk."""
        since = self._unsynced.since() or (self._held_since if self._held else None)
        return 0.0 if since is None else time.monotonic() - since

    @property
    def unsynced_bytes(self) -> int:
        """Of the copies that are kept in memory until they are."""
        return self._unsynced.kept_bytes

    @property
    def is_job_due(self) -> bool:
        """Whether writing waits for a job in a thread."""
        return self._is_segment_due or self._is_to_replace

    def flush(self) -> None:
        """Hand everything to the kernel, unless a job has to be done first; raises OSError and holds the rest."""
        if self.is_job_due or not (self._held or self._rest):
            return
        failpoints.reach("capture.before_append")
        if self._rest:
            self._write_rest()
        if self._held and self._begins_segment():
            return
        if self._held:
            data = self._held[0] if len(self._held) == 1 else b"".join(self._held)
            self._unsynced.add(data, last_n=self.last_n, since=self._held_since)
            self._flushed_n, self._rest = self.last_n, data
            self._held, self._held_bytes = [], 0
            self._write_rest()
        self._has_no_room = False
        self.on_append()

    def _write_rest(self) -> None:
        """What was taken stays taken: the file holds a beginning of the records' bytes, whatever happens."""
        while self._rest:
            size = len(self._rest)
            if failpoints.is_armed("capture.half_appended"):
                size = size // 2 or 1
            count = self._disk.write(self._file, self._rest[:size] if size < len(self._rest) else self._rest)
            self._written += count
            self._rest = self._rest[count:]
            if self._rest:
                failpoints.reach("capture.half_appended")
        failpoints.reach("capture.after_append")

    def _begins_segment(self) -> bool:
        """Whether what is held must wait for a new segment."""
        is_full = self._written + self._held_bytes > self._segment_bytes and self._written > len(self._header)
        if not is_full or time.monotonic() < self._no_segment_before:
            return False
        self._is_segment_due = True
        if self._schedule is not None:
            self.on_job_due()
            return True
        self.sync()
        return False

    def _flush_in_turn(self) -> None:
        self._is_scheduled = False
        self._flush_or_hold()

    def _flush_or_hold(self) -> None:
        try:
            self.flush()
        except OSError as error:
            if not has_no_room(error):
                self._segment_failed()
            elif not self._has_no_room:
                self._has_no_room = True
                self.on_stuck()

    def try_again(self) -> bool:
        """Whether everything could be handed over."""
        self._flush_or_hold()
        return not self.held_bytes

    # -- to the disk ------------------------------------------------------------------------------

    def sync(self) -> None:
        """Force everything to the disk; raises OSError or DiskFailed."""
        while (job := self.begin_sync()) is not None:
            job.run()
            self.end_sync(job)

    def begin_sync(self) -> DiskJob | None:
        """What has to be done in a thread now, if anything; give it to `end_sync` when it is done.

        Raises DiskFailed where what was received cannot be kept.
        """
        if self.failures > 1 or (self.failures and not self._unsynced.is_whole):
            raise DiskFailed(f"the disk of {self.folder} failed {self.failures} times")
        if self._is_to_replace:
            data = self._header + self._unsynced.data
            self._job = DiskJob(self._disk, path=self._path_of(self._unsynced.synced_n + 1), data=data)
        elif self._is_segment_due or self._unsynced.has_any(but_last=bool(self._rest)):
            path = self._path_of(self._flushed_n + 1) if self._is_segment_due else None
            self._unsynced.begin(but_last=bool(self._rest))
            self._job = DiskJob(self._disk, handle=os.dup(self._file), path=path, data=self._header)
        return self._job

    def end_sync(self, job: DiskJob) -> None:
        """Go on after the job; raises DiskFailed where what was received cannot be kept."""
        self._job = None
        if job.sync_error is not None:
            self._unsynced.failed()
            self._segment_failed()
            return
        if job.handle >= 0:
            self._unsynced.done()
        if job.created >= 0:
            self._take_segment(job)
        if job.create_error is not None:
            self._no_new_segment(job.create_error, is_taken=job.created >= 0)
        if self._schedule is not None:
            self._flush_or_hold()

    def _take_segment(self, job: DiskJob) -> None:
        os.close(self._file)
        self._file, self._written = job.created, len(job.data)
        if self._is_to_replace:  # all that was ever handed over is in it
            self._unsynced.begin()
            self._unsynced.done()
            self._rest = b""
        self._is_segment_due = self._is_to_replace = False

    def _no_new_segment(self, error: OSError, *, is_taken: bool) -> None:
        """One that has its name is taken whatever the disk says then: readers look for what follows in it."""
        self.failures += not has_no_room(error)
        if self._is_to_replace or self.failures > 1:
            raise DiskFailed(f"no segment can be made in {self.folder}: {error.strerror}") from error
        if is_taken:
            return
        self._is_segment_due = False  # the present one grows on: what is full may take a little more
        self._no_segment_before = time.monotonic() + NEW_SEGMENT_AGAIN_SECONDS

    def _segment_failed(self) -> None:
        """Abandon the file: what it does not surely hold is written again, once, into another one."""
        self.failures += 1
        self._is_to_replace, self._is_segment_due = True, False
        self.on_job_due()

    def close(self) -> None:
        """Write and sync what can be, and give up the writer lock; raises OSError or DiskFailed."""
        try:
            if self._job is not None:
                self._job.finish()
                self.end_sync(self._job)
            self.sync()
            self.flush()
            self.sync()
        finally:
            os.close(self._file)
            self._lock.release()

    # -- a dead writer's --------------------------------------------------------------------------

    def _path_of(self, first_n: int) -> Path:
        return self.folder / f"{first_n:020d}.log"

    def _continue(self) -> None:
        """Go on where a dead writer stopped: its torn tail is cut, the next n is taken."""
        end = go_on(segments(self.folder)[-1], self._header)
        self._file, self._written = end.handle, end.size
        self.last_n, self.last_received_ns = end.last_n, end.last_received_ns
        if not end.last_received_ns and (last := last_record(self.folder)) is not None:
            self.last_received_ns = last.received_ns  # its segment holds none: it was just made

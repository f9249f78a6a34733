"""Ships one session's capture log: reads on, cuts parts, commits them, deletes what is no longer needed."""

import os
import shutil
import time
from collections import deque
from itertools import pairwise
from pathlib import Path

import structlog

from archive.commit import Committer, Missing
from archive.layout import day_of, days_between
from archive.manifest import Part
from archive.part import PartBuilder
from streaming import failpoints
from streaming.capture_log import (
    CaptureLogError,
    CaptureLogReader,
    Cursor,
    is_writer_alive,
    names_of,
    segments,
)
from streaming.dead_session import FOLLOWED, PUBLISHED, end_dead_session, is_end, last_record
from streaming.durable import kept_damaged
from streaming.log_reader import READ_BYTES
from streaming.records import Record

log = structlog.get_logger()

SHIPPED = "shipped.cursor"
ANNOUNCED = "announced"  # written by the connector once the bus knows how the session ended
KEEP_ANNOUNCED_NS = 600 * 10**9
KEEP_NS = 3600 * 10**9
BEHIND_NS = 10**9  # older records than this are read in larger pieces
BEHIND_READ_BYTES = 1 << 20


class SessionShipper:
    """One session, from where the store says it stands. The caller holds the session's shipper lock."""

    def __init__(
        self,
        folder: Path,
        builder: PartBuilder,
        committer: Committer,
        *,
        environment: str,
        part_seconds: float,
    ) -> None:
        if names_of(folder) != (environment, folder.name):
            raise CaptureLogError(f"{folder} holds the log of {names_of(folder)}, not of {environment}")
        self.folder = folder
        self._builder, self._committer = builder, committer
        self._part_seconds = part_seconds
        self._part: Part | None = None
        self._part_begun = 0.0
        self._part_ends = self._is_behind = False
        self._waiting: deque[Record] = deque()
        self.ended_ns: int | None = None
        self._end: Record | None = None  # the end mark, where it stood already when the session was taken up
        self._missing = self._missing_in_store()
        self._go_to_missing()
        self._cursor = Cursor(folder / SHIPPED)
        self._remember()

    def _remember(self) -> None:
        """Only a hint, for whoever looks: a full disk must not keep us from shipping it empty."""
        try:
            self._cursor.store(self.shipped)
        except OSError as error:
            log.warning("cursor not stored", session=self.folder.name, error=str(error))

    def _missing_in_store(self) -> list[Missing]:
        """The truth is the store, not the cursor: what no committed part holds."""
        first_n, last = int(segments(self.folder)[0].stem), last_record(self.folder)
        first = next(iter(CaptureLogReader(self.folder, from_n=first_n).read(1)), None)
        if first is None or last is None:
            return [Missing(first_n, None)]
        days = days_between(day_of(first.received_ns), day_of(last.received_ns))
        done = self._committer.committed(self.folder.name, first_n=first_n, days=days)
        if done.last_n > last.n:
            raise CaptureLogError(
                f"{self.folder} ends at record {last.n}; the archive has {done.last_n}: its end is damaged or cut"
            )
        self._builder.connector_version = done.connector_version
        self._end = last if is_end(last) else None
        return list(done.missing)

    def _go_to_missing(self) -> None:
        """Read on where the store lacks something; that may lie behind parts that it holds."""
        first_n = self._missing[0].first_n
        self.shipped = first_n - 1
        self._waiting.clear()
        self._reader = CaptureLogReader(self.folder, from_n=first_n)
        if self._end is not None and self._end.n < first_n:
            self.ended_ns = self._end.received_ns

    @property
    def lag_records(self) -> int:
        """Records that were read and are not yet committed."""
        return self._builder.rows + len(self._waiting) + (self._part.manifest.rows if self._part else 0)

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest of them."""
        first = self._builder.first or (self._waiting[0] if self._waiting else None)
        oldest = self._part.manifest.first_recv_ns if self._part else first.received_ns if first else None
        return 0.0 if oldest is None else max(0.0, (time.time_ns() - oldest) / 1e9)

    def step(self) -> bool:
        """Take in what is new and commit what is due; False when there was nothing new."""
        if self._part is not None:
            self._commit()
        if self.ended_ns is not None:
            return False
        if not self._waiting:
            self._read()
        had_any = bool(self._waiting)
        self._take_waiting()
        if self._builder.rows and time.monotonic() - self._part_begun >= self._part_seconds:
            self._commit()
        return had_any

    def _read(self) -> None:
        try:
            self._waiting.extend(self._reader.read(BEHIND_READ_BYTES if self._is_behind else READ_BYTES))
        except CaptureLogError:
            if self._builder.rows:  # what is sound must not wait for what is not
                self._commit()
            raise
        newest_ns = self._waiting[-1].received_ns if self._waiting else time.time_ns()
        self._is_behind = time.time_ns() - newest_ns > BEHIND_NS

    def _take_waiting(self) -> None:
        while self._waiting:
            if not self._builder.rows:
                self._part_begun = time.monotonic()
            if self._builder.take(self._waiting, until_n=self._missing[0].last_n):
                self._commit()

    def finish(self) -> None:
        """Commit everything readable, before the process ends."""
        if self._part is not None:
            self._commit()
        while self.step():
            continue
        if self._builder.rows:
            self._commit()

    def _commit(self) -> None:
        if self._part is None:
            self._part_ends = self._builder.has_end
            self._part = self._builder.finish()
        manifest = self._part.manifest
        self._make_durable(manifest.first_n, manifest.last_n)
        self._committer.commit(self._part)
        self._part = None
        self.shipped = manifest.last_n
        if self.shipped == self._missing[0].last_n:
            del self._missing[0]
            self._go_to_missing()
        failpoints.reach("shipper.before_cursor")
        self._remember()
        if self._part_ends:
            self.ended_ns = manifest.last_recv_ns
        log.info("part committed", key=manifest.key.data, rows=manifest.rows, bytes=manifest.stored_bytes)
        failpoints.reach("shipper.before_trim")
        self.trim()

    def _make_durable(self, first_n: int, last_n: int) -> None:
        """The log first: after a power cut it must not be shorter than what the archive holds of it."""
        paths = [path for path in segments(self.folder) if int(path.stem) <= last_n]
        begin = max(index for index, path in enumerate(paths) if index == 0 or int(path.stem) <= first_n)
        for path in paths[begin:]:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(handle)
            finally:
                os.close(handle)

    def end_if_dead(self) -> None:
        """Write what the dead could not: the crash mark and the end mark."""
        try:
            if self.ended_ns is None and not is_writer_alive(self.folder) and end_dead_session(self.folder):
                log.warning("a session died; its end is marked", session=self.folder.name)
        except OSError as error:  # the disk is full: shipping makes room, then it is tried again
            log.warning("the end of a dead session is not marked yet", error=str(error))

    def trim(self) -> None:
        """Delete segments that nobody needs any more; the last one stays, it tells how the session ended."""
        is_over = self.ended_ns is not None and not is_writer_alive(self.folder)
        others = () if is_over else (Cursor(self.folder / name).load() for name in (PUBLISHED, FOLLOWED))
        needed_after = min((self.shipped, *others))
        paths = segments(self.folder)
        for path, following in pairwise(paths):
            if int(following.stem) > needed_after:  # something stays, so that a dead session can be ended
                return
            path.unlink(missing_ok=True)  # the connector deletes, too, where it lacks room
            failpoints.reach("shipper.mid_trim")
            log.info("segment deleted", session=self.folder.name, segment=path.name)

    def is_removable(self, now_ns: int) -> bool:
        """Whether the session is over, shipped whole, and no longer of interest to the connector or to people."""
        if self.ended_ns is None or is_writer_alive(self.folder) or kept_damaged(self.folder):
            return False
        keep = KEEP_ANNOUNCED_NS if (self.folder / ANNOUNCED).exists() else KEEP_NS
        return now_ns - self.ended_ns >= keep


def remove_session_folder(folder: Path) -> None:
    """Delete a session's folder; what a crash leaves of it is still an ended session, or holds nothing."""
    for path in segments(folder):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder)
    log.info("session folder removed", session=folder.name)

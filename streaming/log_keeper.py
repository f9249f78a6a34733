"""Keeps a running session's log on the disk, and within the room that there is."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from streaming import capture_metrics, metrics
from streaming.capture_log import CaptureLog
from streaming.disk import Disk
from streaming.lifetime import comes_within
from streaming.room import TRADES, Reserve, look, reserve_of, trim_shipped

log = structlog.get_logger()

# With the time that a sync takes, a record is on the disk within 50 ms.
SYNC_EVERY_SECONDS = 0.03
SETTLE_SECONDS = 5.0
RESERVE = "reserve"


class LogKeeper:
    """`capture` is the environment's folder of sessions, `on_level` is told the level of the policy."""

    def __init__(
        self,
        capture_log: CaptureLog,
        capture: Path,
        *,
        feed: str,
        max_bytes: int,
        on_level: Callable[[int], None],
        disk: Disk | None = None,
    ) -> None:
        self._log, self._capture, self._feed, self._max_bytes = capture_log, capture, feed, max_bytes
        self._on_level = on_level
        self._disk = disk or Disk()
        self._reserve = Reserve(capture / RESERVE, self._disk, size=reserve_of(max_bytes))
        self._level = self._failures = 0
        self._due = asyncio.Event()
        self._thread = ThreadPoolExecutor(
            1, "capture-sync"
        )  # of its own: others' work must not keep it waiting
        capture_log.on_job_due = self._due.set
        capture_log.on_stuck = self._no_room
        capture_metrics.UNSYNCED_SECONDS.labels(feed).set_function(lambda: capture_log.unsynced_seconds)

    async def keep_synced(self) -> None:
        """Force the log to the disk again and again; raises DiskFailed."""
        lag = capture_metrics.LOOP_LAG.labels(self._feed)
        while True:
            began = time.monotonic()
            if not await comes_within(self._due, SYNC_EVERY_SECONDS):
                lag.observe(max(time.monotonic() - began - SYNC_EVERY_SECONDS, 0.0))
            self._due.clear()
            await self._sync()

    async def _sync(self) -> None:
        """In a thread: a slow disk must not stop the reading."""
        loop = asyncio.get_running_loop()
        while (job := self._log.begin_sync()) is not None:
            with metrics.CONNECTOR_SYNC_SECONDS.labels(self._feed).time():
                await loop.run_in_executor(self._thread, job.run)
            capture_metrics.EXPOSED_SECONDS.labels(self._feed).observe(self._log.unsynced_seconds)
            self._log.end_sync(job)
            self._tell_failures()
            if not self._log.is_job_due:
                return

    def _tell_failures(self) -> None:
        if self._log.failures > self._failures:
            self._failures = self._log.failures
            capture_metrics.SYNC_FAILURES.labels(self._feed).inc()
            metrics.CONNECTOR_ERRORS_TOTAL.labels(self._feed, "capture").inc()
            log.error("segment abandoned: the disk did not take it", folder=str(self._log.folder))

    def look(self) -> None:
        """Once a second: how much room is there, and what follows."""
        if self._log.is_stuck:
            self._log.try_again()
        room = look(self._capture, max_bytes=self._max_bytes, disk=self._disk)
        if room.is_short:
            trim_shipped(self._log.folder)
        level = room.level(self._level)
        if self._log.is_stuck or not self._reserve.hold():
            level = TRADES
        self._set_level(level)
        capture_metrics.LOG_BYTES.labels(self._feed).set(room.used_bytes)
        capture_metrics.LOG_SEGMENTS.labels(self._feed).set(room.segments)
        capture_metrics.ROOM_BYTES.labels(self._feed).set(max(room.room_bytes, 0))

    def _no_room(self) -> None:
        """The disk is full at this very moment: the reserve is for what has to be said about it."""
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._feed, "capture").inc()
        log.error("the disk takes no more", folder=str(self._log.folder))
        trim_shipped(self._log.folder)
        self._reserve.release()
        self._set_level(TRADES)
        self._log.try_again()

    def _set_level(self, level: int) -> None:
        self._level = level
        self._on_level(level)

    async def settle(self) -> None:
        """Hand over what is held, as far as the disk takes it in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while not self._log.try_again():
                    await asyncio.sleep(0.01)

    def close(self) -> None:
        """No more jobs."""
        self._thread.shutdown(wait=False)

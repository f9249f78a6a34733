"""The process: every session's capture log to the raw archive, exactly once.

One shipper per environment and host, by file lock; it has no database and needs no bus.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from archive.commit import Committer
from archive.files import Damaged
from archive.part import MAX_RAW_BYTES, PartBuilder
from archive.session_shipper import KEEP_NS, SessionShipper, remove_session_folder
from archive.store import OtherContent, Store, StoreError
from registry.refusal import ExitCode, Reason, Refused
from streaming import lifetime, metrics
from streaming.capture_log import CaptureLogError, is_writer_alive, names_of, segments
from streaming.durable import kept_damaged, make_folder
from streaming.file_lock import FileLock, Locked
from streaming.mend import mend_log

log = structlog.get_logger()

LOCK = "shipper.lock"
IDLE_SECONDS = 0.1
HOUSEKEEPING_SECONDS = 1.0
AGAIN_SECONDS = 10.0

# One session's trouble: its log or what the archive holds of it contradicts itself.
_UNSHIPPABLE = (CaptureLogError, Damaged, OtherContent, OSError, ValueError, msgspec.DecodeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperConfig:
    """All that a shipper needs to know; `capture` is the environment's folder of sessions."""

    environment: str
    feed: str
    capture: Path
    store: Store
    version: str
    part_seconds: float = 60
    part_bytes: int = MAX_RAW_BYTES
    metrics_port: int = 0


def run(config: ShipperConfig) -> None:
    """Ship until SIGTERM or SIGINT; refused if another shipper runs for this environment."""
    with environment_lock(config):
        metrics.init_archive(config.feed)
        metrics.serve_metrics(config.metrics_port)

        async def ship(stop: asyncio.Event) -> None:
            await _in_thread(config, stop)

        lifetime.run("shipper", ship)


def environment_lock(config: ShipperConfig) -> FileLock:
    """The lock that makes this process the environment's one shipper on this host."""
    try:
        make_folder(config.capture)
        return FileLock(config.capture / LOCK)
    except Locked:
        problem = f"A shipper is already running for environment '{config.environment}' on {config.capture}"
        raise Refused(
            [Reason(problem, "One is enough; stop it first.")], exit_code=ExitCode.CONFLICT
        ) from None
    except OSError as error:
        problem = f"The capture folder {config.capture} cannot be written: {error.strerror}"
        remedy = "Give this user the right to write there, or set SSMD_HOME."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION) from error


async def _in_thread(config: ShipperConfig, stop: asyncio.Event) -> None:
    """Files and stores block: the work is done in one thread, which is told when to stop."""
    halt = threading.Event()
    work = asyncio.create_task(asyncio.to_thread(Shipper(config, halt).work))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    halt.set()
    stopped.cancel()
    await work


class Shipper:
    """All sessions of one environment."""

    def __init__(self, config: ShipperConfig, halt: threading.Event) -> None:
        self._config, self._halt = config, halt
        self._committer = Committer(config.store, feed=config.feed, environment=config.environment, halt=halt)
        self._sessions: dict[Path, tuple[SessionShipper, FileLock]] = {}
        self._blocked: dict[Path, float] = {}  # until when, monotonic
        self._housekeeping_due = 0.0

    def work(self) -> None:
        """Ship until halted, then commit what is readable."""
        try:
            self._committer.bind()
            log.info("shipping", environment=self._config.environment, capture=str(self._config.capture))
            while not self._halt.is_set():
                if not self.step():
                    self._halt.wait(IDLE_SECONDS)
            self._finish()
        except StoreError as error:
            log.warning("stopped without the store; the rest stays in the capture log", error=str(error))

    def step(self) -> bool:
        """One turn over all sessions; False when none had anything new."""
        if time.monotonic() >= self._housekeeping_due:
            self._housekeeping_due = time.monotonic() + HOUSEKEEPING_SECONDS
            self._keep_house()
        had_any = False
        for folder in list(self._sessions):
            had_any |= self._guarded(folder, SessionShipper.step)
        self._measure()
        return had_any

    def _keep_house(self) -> None:
        for folder in sorted(self._config.capture.iterdir()):
            if folder.is_dir() and folder not in self._sessions and not self._is_blocked(folder):
                self._take_up(folder)
        for folder, (session, _) in list(self._sessions.items()):
            self._guarded(folder, _tend)
            if folder in self._sessions and session.is_removable(time.time_ns()):
                self._guarded(folder, _remove)
                self._drop(folder)
        kept = sum(len(kept_damaged(folder)) for folder in self._sessions)
        metrics.SHIPPER_DAMAGED.labels(self._config.feed).set(kept)

    def _take_up(self, folder: Path) -> None:
        """Follow a session, unless it has not begun or somebody else ships it."""
        if not segments(folder):
            self._remove_if_nothing_came(folder)
            return
        try:
            if names_of(folder) is None:
                return  # its first segment is being made
            lock = FileLock(folder / LOCK)
        except (Locked, *_UNSHIPPABLE) as error:
            self._failed(folder, error)
            return
        try:
            self._sessions[folder] = (self._session(folder), lock)
            self._unblock(folder)
            log.info("session taken up", session=folder.name, shipped=self._sessions[folder][0].shipped)
        except _UNSHIPPABLE as error:
            lock.release()
            self._failed(folder, error)

    def _session(self, folder: Path) -> SessionShipper:
        config = self._config
        builder = PartBuilder(
            feed=config.feed,
            environment=config.environment,
            session=folder.name,
            shipper_version=config.version,
            max_bytes=config.part_bytes,
        )
        return SessionShipper(
            folder,
            builder,
            self._committer,
            environment=config.environment,
            part_seconds=config.part_seconds,
        )

    def _remove_if_nothing_came(self, folder: Path) -> None:
        # The writer's lock is asked last: a connector that is just starting must find it free.
        if time.time_ns() - folder.stat().st_mtime_ns > KEEP_NS and not (
            kept_damaged(folder) or is_writer_alive(folder)
        ):
            remove_session_folder(folder)

    def _guarded(self, folder: Path, action: Callable[[SessionShipper], bool | None]) -> bool:
        try:
            return bool(action(self._sessions[folder][0]))
        except _UNSHIPPABLE as error:
            shipped = self._sessions[folder][0].shipped
            self._drop(folder)
            self._failed(folder, error, from_n=shipped + 1)
            return False

    def _failed(self, folder: Path, error: Exception, *, from_n: int = 1) -> None:
        """A log that is damaged is mended and taken up anew; whatever else is wrong keeps the session from the archive."""
        if not (isinstance(error, CaptureLogError) and self._mend(folder, from_n)):
            self._block(folder, error)

    def _mend(self, folder: Path, from_n: int) -> bool:
        try:
            with FileLock(folder / LOCK):
                return bool(mend_log(folder, environment=self._config.environment, from_n=from_n))
        except (Locked, OSError) as error:
            log.warning("damaged log not mended yet", session=folder.name, error=str(error))
            return False

    def _unblock(self, folder: Path) -> None:
        if self._blocked.pop(folder, None) is not None:
            metrics.SHIPPER_BLOCKED.labels(self._config.feed).set(len(self._blocked))

    def _is_blocked(self, folder: Path) -> bool:
        return time.monotonic() < self._blocked.get(folder, 0.0)

    def _block(self, folder: Path, error: Exception) -> None:
        """One session's trouble must not keep the others from the archive."""
        # A disk's trouble may pass, and of a living log more can be mended once its readers are past it.
        may_pass = isinstance(error, OSError) or is_writer_alive(folder)
        self._blocked[folder] = time.monotonic() + AGAIN_SECONDS if may_pass else math.inf
        metrics.SHIPPER_BLOCKED.labels(self._config.feed).set(len(self._blocked))
        log.error("session cannot be shipped", session=folder.name, error=str(error))

    def _drop(self, folder: Path) -> None:
        if folder in self._sessions:
            self._sessions.pop(folder)[1].release()

    def _finish(self) -> None:
        self._keep_house()  # who is stopped right after its start has followed nothing yet
        for folder in list(self._sessions):
            self._guarded(folder, SessionShipper.finish)
        self._measure()
        log.info("all that was readable is committed")

    def _measure(self) -> None:
        feed, sessions = self._config.feed, [session for session, _ in self._sessions.values()]
        metrics.SHIPPER_SESSIONS.labels(feed).set(len(sessions))
        metrics.SHIPPER_LAG_RECORDS.labels(feed).set(sum(session.lag_records for session in sessions))
        lag = max((session.lag_seconds for session in sessions), default=0.0)
        metrics.SHIPPER_LAG_SECONDS.labels(feed).set(lag)


def _tend(session: SessionShipper) -> None:
    session.end_if_dead()
    session.trim()


def _remove(session: SessionShipper) -> None:
    remove_session_folder(session.folder)

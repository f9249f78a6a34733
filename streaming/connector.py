"""The connector: one run of it is a session. Socket -> capture log -> { conversation, publisher -> bus }.

It has no database: everything it needs is in its configuration, as plain values.
"""

import asyncio
import gc
import os
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from registry.refusal import ExitCode, Reason, Refused
from streaming import dead_session, lifetime, marks, metrics
from streaming.capture_log import CaptureLog, CaptureLogError, CaptureLogReader, Cursor
from streaming.events import GapNotice
from streaming.file_lock import FileLock, Locked
from streaming.kalshi.capture import Capture
from streaming.kalshi.market_lister import MarketLister
from streaming.kalshi.markets import MarketBoard, Patterns
from streaming.kalshi.rest import Credentials
from streaming.publisher import Publisher
from streaming.transport import StreamSpec

log = structlog.get_logger()

SYNC_EVERY_SECONDS = 0.05
TICK_SECONDS = 1.0
LOOKS_AT_A_DEAD_SESSION = 11  # a tenth of a second apart
STOPPED = "stopped"
# Sent before a planned stop in which the venue goes first, as the simulated exchange does.
EXPECT_END = signal.SIGUSR1


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """All that a session is told; `capture` is the environment's folder of session folders."""

    feed: str
    feed_version: str
    environment: str
    environment_version: int
    config_hash: str
    endpoint: str
    rest_endpoint: str
    credentials: Credentials | None
    nats_url: str
    stream: StreamSpec
    capture: Path
    code_version: str
    tickers: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    subscribe: dict[str, Any] = field(default_factory=dict)
    with_raw: bool = True
    metrics_port: int = 0

    @property
    def is_everything(self) -> bool:
        """No pattern given means all markets."""
        return not (self.tickers or self.series or self.categories)


def run(config: ConnectorConfig) -> None:
    """The process's main; raises Refused for what an operator has to mend."""
    signal.signal(EXPECT_END, signal.SIG_IGN)  # until there is a session to tell
    # What is loaded by now stays; a hot path that makes a dozen objects a frame must not scan it again and again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    with _only_connector(config.capture):
        metrics.init_connector(config.feed)
        _serve_metrics(config.metrics_port)
        lifetime.run("connector", Connector(config).run)


def _serve_metrics(port: int) -> None:
    try:
        metrics.serve_metrics(port)
    except OSError as error:
        reason = Reason(f"port {port} for /metrics: {error.strerror}", "Name a free one with --metrics-port.")
        raise Refused([reason], exit_code=ExitCode.CONFLICT) from error


def _only_connector(folder: Path) -> FileLock:
    """The environment's connector lock: two connectors would record everything twice."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / "connector.lock")
    except Locked:
        reason = Reason(f"a connector of environment {folder.name!r} is running already", "Stop it first.")
        raise Refused([reason], exit_code=ExitCode.CONFLICT) from None
    except OSError as error:
        remedy = "Set SSMD_HOME to a folder that you may write to."
        reason = Reason(f"cannot write to {folder}: {error.strerror}", remedy)
        raise Refused([reason], exit_code=ExitCode.PERMISSION) from error


def new_session(feed: str, now: datetime) -> str:
    """`kalshi-20251214T001000Z-3f9a1c`."""
    return f"{feed}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class Connector:
    """One session."""

    def __init__(self, config: ConnectorConfig) -> None:
        self._config = config
        self.session = new_session(config.feed, datetime.now(UTC))
        self.folder = config.capture / self.session
        self._board = MarketBoard(Patterns(config.tickers, config.series, config.is_everything))
        self._writing_ended = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`, then drain; raises Refused when the venue does not take our key."""
        notices = await self._end_dead_sessions()
        self._log = CaptureLog(self.folder, environment=self._config.environment, session=self.session)
        self._log.mark(self._start_mark())
        self._capture = Capture(self._config, self._log, self._board)
        lister = MarketLister(self._config, self._board, self._capture)
        publisher = self._publisher(notices)
        self._log.on_append = _setter(self._capture.fresh, publisher.fresh)
        asyncio.get_running_loop().add_signal_handler(EXPECT_END, self._capture.expect_end)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(job()) for job in (self._sync, self._tick, lister.run)]
                group.create_task(publisher.run(self._config.nats_url, self._writing_ended), name="publisher")
                await self._record(stop)
                for helper in helpers:
                    helper.cancel()
        finally:
            # After a failure no end mark is written: what was lost with it is the `process_crash` gap's to tell.
            with suppress(OSError):
                self._log.close()

    async def _record(self, stop: asyncio.Event) -> None:
        try:
            await self._capture.run(stop)
        except Refused:  # the venue's, with its gap marked: nothing was lost by us
            self._end("refused")
            raise
        self._log.mark(self._teardown_mark())
        self._end(STOPPED)

    def _end(self, reason: str) -> None:
        self._log.mark(marks.SessionEnd(reason=reason))
        self._writing_ended.set()
        log.info("session ended", session=self.session, reason=reason, records=self._log.last_n)

    def _teardown_mark(self) -> marks.GapOpen:
        """Nothing is recorded from here until the next session is ready."""
        last = (self._log.last_n, self._log.last_received_ns)
        return marks.GapOpen(
            cause="planned_teardown",
            connection=0,
            from_ns=last[1],
            after_n=last[0],
            planned=True,
            fault="ours",
        )

    async def _end_dead_sessions(self) -> list[GapNotice]:
        """Sessions that crashed, or could not publish all: the bus has to be told."""
        notices = []
        for folder in sorted(path for path in self._config.capture.iterdir() if path.is_dir()):
            try:
                await _see_it_ended(folder)
                notice = dead_session.unannounced(folder)
            except (CaptureLogError, OSError, ValueError) as error:  # an old log must not stop a new one
                log.error("old session not readable", folder=str(folder), error=str(error))
                continue
            if notice is not None:
                notices.append(notice)
        return notices

    def _announced(self, notice: GapNotice) -> None:
        with suppress(OSError):  # the shipper may have removed the folder
            dead_session.announced(self._config.capture / notice.session)

    def _start_mark(self) -> marks.SessionStart:
        config = self._config
        return marks.SessionStart(
            feed=config.feed,
            environment=config.environment,
            environment_version=config.environment_version,
            config_hash=config.config_hash,
            feed_version=config.feed_version,
            endpoint=config.endpoint,
            code_version=config.code_version,
            subscribe=config.subscribe,
        )

    def _publisher(self, notices: list[GapNotice]) -> Publisher:
        return Publisher(
            CaptureLogReader(self.folder),
            Cursor(self.folder / dead_session.PUBLISHED),
            session=self.session,
            stream=self._config.stream,
            with_raw=self._config.with_raw,
            notices=notices,
            on_announced=self._announced,
        )

    async def _sync(self) -> None:
        """Force the log to the disk every 50 ms, in a thread: a slow disk must not stop the reading."""
        histogram = metrics.CONNECTOR_SYNC_SECONDS.labels(self._config.feed)
        while True:
            await asyncio.sleep(SYNC_EVERY_SECONDS)
            if (handle := self._log.take_unsynced()) is not None:
                with histogram.time():
                    await asyncio.to_thread(_sync_and_close, handle)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now_ns = time.time_ns()
            self._log.mark(marks.Tick(frames=self._capture.frames))
            self._turn_markets(now_ns)
            self._capture.on_time(now_ns)
            metrics.CONNECTOR_CAPTURE_LAST_N.labels(self._config.feed).set(self._log.last_n)

    def _turn_markets(self, now_ns: int) -> None:
        """The venue says nothing when a market opens or closes by the clock: we do."""
        for turned in self._board.turn(now_ns):
            kind = marks.MarketOpened if turned.is_open else marks.MarketClosed
            self._log.mark(kind(ticker=turned.ticker, at_ns=turned.at_ns))
        self._board.forget_over(now_ns)


def _needs_no_end(folder: Path) -> bool:
    last = dead_session.last_record(folder)
    return last is None or dead_session.is_end(last)


async def _see_it_ended(folder: Path) -> None:
    """The shipper may be ending it at this very moment: look until it has."""
    for _ in range(LOOKS_AT_A_DEAD_SESSION):
        if dead_session.end_dead_session(folder) or _needs_no_end(folder):
            return
        await asyncio.sleep(0.1)
    log.error("old session not ended", folder=str(folder))


def _setter(*events: asyncio.Event) -> Callable[[], None]:
    def set_all() -> None:
        for event in events:
            event.set()

    return set_all


def _sync_and_close(handle: int) -> None:
    try:
        os.fdatasync(handle)
    finally:
        os.close(handle)

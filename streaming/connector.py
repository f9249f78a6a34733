"""The connector: one run of it is a session. Socket -> capture log -> { conversation, publisher -> bus }.

It has no database: everything it needs is in its configuration, as plain values.
"""

import asyncio
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial

import structlog

from registry.refusal import Refused
from streaming import capture_metrics, dead_session, marks, metrics, room
from streaming.capture_log import CaptureLog
from streaming.connector_config import ConnectorConfig
from streaming.disk import Disk, DiskFailed
from streaming.events import GapNotice
from streaming.handover import Seat
from streaming.kalshi.capture import Capture
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.market_lister import MarketLister
from streaming.kalshi.markets import MarketBoard, Patterns
from streaming.kalshi.plan import Plan
from streaming.kalshi.trade_healer import TradeHealer
from streaming.kalshi.venue_watch import VenueWatch
from streaming.lifetime import Tasks
from streaming.log_keeper import LogKeeper
from streaming.log_reader import CaptureLogReader, Cursor
from streaming.old_sessions import end_old_sessions
from streaming.publisher import Publisher
from streaming.session_clock import SessionClock

log = structlog.get_logger()

TICK_SECONDS = 1.0
STOPPED = "stopped"
# Sent before a planned stop in which the venue goes first, as the simulated exchange does.
EXPECT_END = signal.SIGUSR1


def new_session(feed: str, now: datetime) -> str:
    """`kalshi-20251214T001000Z-3f9a1c`."""
    return f"{feed}-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


class Connector:
    """One session."""

    def __init__(
        self,
        config: ConnectorConfig,
        *,
        disk: Disk | None = None,
        clock: SessionClock | None = None,
        seat: Seat | None = None,
    ) -> None:
        self._config, self._seat = config, seat
        self._successor = ""  # the session that took over
        self._disk, self._clock = disk or Disk(), clock or SessionClock()
        self.session = new_session(config.feed, datetime.now(UTC))
        self.folder = config.capture / self.session
        self._board = MarketBoard(Patterns(config.tickers, config.series, config.is_everything))
        self._writing_ended = asyncio.Event()
        self._has_ended = False

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`, then drain; raises Refused when the venue does not take our key."""
        self._stop = stop
        notices = await end_old_sessions(self._config.capture, self._config.environment)
        self._log = self._open_log()
        self._log.mark(self._start_mark())
        keyring = Keyring(self._config.credentials, self._config.read_key)
        plan = Plan(self._config.books_per_connection, self._config.connections, self._config.shard)
        self._capture = Capture(self._config, self._log, self._board, self._clock, plan=plan, keyring=keyring)
        self._keeper = self._keep(self._log, self._capture)
        lister = MarketLister(self._config, self._board, self._capture, keyring=keyring)
        watch = VenueWatch(self._config.rest_endpoint, keyring, self._capture)
        self._healer = self._heal(keyring, notices)
        publisher = self._publisher(notices)
        self._log.on_append = _setter(self._capture.fresh, publisher.fresh)
        asyncio.get_running_loop().add_signal_handler(EXPECT_END, self._capture.expect_end)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = Tasks(group)
                tasks.start("sync", self._keeper.keep_synced)
                tasks.start("tick", self._tick)
                tasks.start("lister", lister.run)
                tasks.start("venue watch", watch.run)
                tasks.start("healer", self._healer.run)
                publish = partial(publisher.run, self._config.nats_url, self._writing_ended)
                tasks.start("publisher", publish, may_end=self._writing_ended)
                try:
                    await self._record(stop)
                finally:
                    tasks.end()
        finally:
            # After a failure no end mark is written: what was lost with it is the `process_crash` gap's to tell.
            with suppress(OSError, DiskFailed):
                self._log.close()
            self._keeper.close()

    def _open_log(self) -> CaptureLog:
        return CaptureLog(
            self.folder,
            environment=self._config.environment,
            session=self.session,
            clock=self._clock.now_ns,
            segment_bytes=room.step_of(self._config.max_bytes),
            schedule=asyncio.get_running_loop().call_soon,
            disk=self._disk,
        )

    def _heal(self, keyring: Keyring, notices: list[GapNotice]) -> TradeHealer:
        """Of several connectors the first takes the trades, and sees to what is missing of them."""
        config = self._config
        recent = self._capture.recent_trades
        healer = TradeHealer(config.rest_endpoint, keyring, self._log, recent, feed=config.feed)
        if config.shard.is_first:
            healer.crashed(notices, to_ns=self._clock.now_ns())
            self._capture.on_gap_closed(healer.gap_closed)
        return healer

    def _keep(self, capture_log: CaptureLog, capture: Capture) -> LogKeeper:
        keeper = LogKeeper(
            capture_log,
            self._config.capture,
            feed=self._config.feed,
            max_bytes=self._config.max_bytes,
            on_level=capture.set_room,
            disk=self._disk,
        )
        keeper.look()
        return keeper

    async def _record(self, stop: asyncio.Event) -> None:
        try:
            await self._capture.run(stop)
        except Refused:  # the venue's, with its gap marked: nothing was lost by us
            await self._end("refused")
            raise
        if self._successor:
            await self._end(f"handed over to {self._successor}")
            return
        self._log.mark(self._teardown_mark())
        await self._end(STOPPED)

    async def _end(self, reason: str) -> None:
        self._log.mark(marks.SessionEnd(reason=reason))
        self._has_ended, self._healer.is_log_open = True, False
        await self._keeper.settle()
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
            shard=str(config.shard),
        )

    def _publisher(self, notices: list[GapNotice]) -> Publisher:
        self._publishing = Publisher(
            CaptureLogReader(self.folder, on_trimmed=self._trimmed),
            Cursor(self.folder / dead_session.PUBLISHED),
            session=self.session,
            stream=self._config.stream,
            with_raw=self._config.with_raw,
            notices=notices,
            on_announced=self._announced,
            mark=self._mark,
        )
        return self._publishing

    def _mark(self, mark: marks.Mark) -> int | None:
        """The publisher goes on after the end mark, which is the last of the log."""
        return None if self._has_ended else self._log.mark(mark)

    def _trimmed(self, first_n: int, last_n: int) -> None:
        """The publisher was so far behind that what it had not read went, for want of room: raw has it."""
        capture_metrics.TRIMMED.labels(self._config.feed).inc(last_n - first_n + 1)
        log.error("records were not published and had to go", first=first_n, last=last_n)
        if self._has_ended:
            self._publishing.losses.leave(first_n)
            return
        at = (self._log.last_n, self._log.last_received_ns)
        hole = marks.GapOpen(
            cause="stream_hole",
            connection=0,
            from_ns=at[1],
            after_n=at[0],
            fault="ours",
            unpublished_from=first_n,
            unpublished_to=last_n,
        )
        opened = self._log.mark(hole)
        self._log.mark(marks.GapClose(gap=opened, to_ns=self._clock.now_ns()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._has_ended:
                continue  # the end mark is the last of the log
            if (stepped := self._clock.check()) is not None:
                self._capture.clock_was_set(stepped.step_ns, stepped.ahead_ns)
            self._log.mark(marks.Tick(frames=self._capture.frames))
            self._turn_markets(time.time_ns())
            self._keeper.look()
            self._capture.on_time()
            if self._seat is not None:
                self._see_to_the_seat(self._seat)
            metrics.CONNECTOR_CAPTURE_LAST_N.labels(self._config.feed).set(self._log.last_n)

    def _see_to_the_seat(self, seat: Seat) -> None:
        """Make before break: who takes over asks when it is ready, who is asked ends."""
        if seat.is_waiting and self._capture.is_ready:
            seat.ask(self.session)
            if seat.try_to_take():
                log.info("taken over", session=self.session)
        elif not seat.is_waiting and (successor := seat.successor()):
            log.info("handing over", session=self.session, to=successor)
            self._successor = successor
            self._stop.set()

    def _turn_markets(self, now_ns: int) -> None:
        """The venue says nothing when a market opens or closes by the clock: we do."""
        for turned in self._board.turn(now_ns):
            kind = marks.MarketOpened if turned.is_open else marks.MarketClosed
            if self._config.shard.owns(turned.ticker):
                self._log.mark(kind(ticker=turned.ticker, at_ns=turned.at_ns))
        self._board.forget_over(now_ns)


def _setter(*events: asyncio.Event) -> Callable[[], None]:
    def set_all() -> None:
        for event in events:
            event.set()

    return set_all

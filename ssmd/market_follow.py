"""The process: lifecycle events from the bus into the security master, its changes back onto the bus.

It needs neither the venue nor the bus nor, for a while, the database: it waits and goes on where it stopped. What events
cannot tell (they were gone, or could not be read) a market sync does.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import structlog
from django.db import DatabaseError, connections
from django.utils import timezone
from nats.aio.client import Client

from registry.models import Feed
from registry.refusal import ExitCode, Reason, Refused
from secmaster import follower, outbox
from ssmd.market_bus import TROUBLE, away, on_bus, with_client
from ssmd.market_database import Database
from ssmd.market_lookups import LookUps
from ssmd.market_publisher import OutboxPublisher
from ssmd.market_reader import Reader
from ssmd.market_sync import Interrupted, sync_from_venue
from streaming import follow_metrics, lifetime, metrics
from streaming.file_lock import FileLock, Locked
from streaming.lifetime import Job, comes_within

log = structlog.get_logger()

NAME = "market-follower"
TIDY_EVERY_SECONDS = 5.0
# A sync asks the venue for everything: not more often, whatever is missing.
SYNC_PAUSE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowerConfig:
    """All that a follower needs to know."""

    environment: str
    feed: Feed
    stream: str
    nats_url: str
    run_dir: Path
    metrics_port: int = 0


def run(config: FollowerConfig, *, once: bool = False) -> None:
    """Follow until SIGTERM or SIGINT, or once: what there is now."""
    follow_metrics.init_follower(config.feed.name)
    with _only_one(config):
        metrics.serve_metrics(config.metrics_port)
        one = Follower(config)
        lifetime.run("follower", *((one.once,) if once else one.jobs()))


def _only_one(config: FollowerConfig) -> FileLock:
    """A second one would do no harm, but read and write everything twice, and mislead who counts."""
    config.run_dir.mkdir(parents=True, exist_ok=True)
    try:
        return FileLock(config.run_dir / f"market_follow-{config.environment}.lock")
    except Locked as error:
        problem = f"The markets of environment '{config.environment}' are followed by another process already"
        raise Refused([Reason(problem, "`ssmd up` runs one.")], exit_code=ExitCode.CONFLICT) from error


class Follower:
    """The jobs of one environment."""

    def __init__(self, config: FollowerConfig) -> None:
        self._config, self._feed = config, config.feed
        self._database = Database(self._feed.name)
        self._publisher = OutboxPublisher(self._feed, config.stream, self._database)
        self._look_ups = LookUps(self._feed, self._database)
        self._reader = Reader(
            self._feed, config.stream, self._database, on_change=self._publisher.there_is_more.set
        )
        self._halt = threading.Event()  # seen by the thread that syncs

    def jobs(self) -> tuple[Job, ...]:
        """What runs side by side; one that fails ends them all."""
        return self._read, self._publish, self._look_ups.work, self._tidy, self._sync_when_wanted

    async def once(self, stop: asyncio.Event) -> None:
        """Take in and publish what there is now; refused where the bus or the venue cannot be asked."""
        config = self._config
        try:
            await self._on_client(lambda client: self._reader.read(client, stop, until_drained=True))
            await self._sync_once(stop)
            await self._turn_clock()
            await self._look_ups.answer_due(stop)
            await self._on_client(lambda client: self._publisher.publish(client, stop, until_empty=True))
        except TROUBLE as error:
            raise away(config.nats_url, config.stream, error) from error

    async def _on_client(self, job: Callable[[Client], Awaitable[None]]) -> None:
        await with_client(self._config.nats_url, job, name=NAME)

    async def _read(self, stop: asyncio.Event) -> None:
        config = self._config
        await on_bus(
            config.nats_url, config.stream, stop, lambda client: self._reader.read(client, stop), name=NAME
        )

    async def _publish(self, stop: asyncio.Event) -> None:
        url, stream, name = self._config.nats_url, self._config.stream, f"{NAME}-outbox"
        await on_bus(url, stream, stop, lambda client: self._publisher.publish(client, stop), name=name)

    # --- the clock, and what nobody fetched ------------------------------------------------------------
    async def _tidy(self, stop: asyncio.Event) -> None:
        while not await comes_within(stop, TIDY_EVERY_SECONDS):
            if not self._reader.is_behind:  # what is on its way knows better than the clock
                await self._turn_clock()
            expired = await self._database.do(lambda: outbox.expire(self._feed, timezone.now()))
            if expired:
                follow_metrics.EXPIRED.labels(self._feed.name).inc(expired)
                log.error("changes were never published: they waited for three days", count=expired)

    async def _turn_clock(self) -> None:
        if await self._database.do(lambda: follower.turn_clock(self._feed, timezone.now())):
            self._publisher.there_is_more.set()

    # --- what only a sync can tell ---------------------------------------------------------------------
    async def _sync_when_wanted(self, stop: asyncio.Event) -> None:
        pause = TIDY_EVERY_SECONDS
        while not await comes_within(stop, pause):
            pause = TIDY_EVERY_SECONDS
            try:
                if await self._sync_once(stop):
                    pause = SYNC_PAUSE_SECONDS
            except Refused as refused:
                pause = SYNC_PAUSE_SECONDS
                log.warning("the markets cannot be synced yet", why=str(refused.reasons[0].problem))

    async def _sync_once(self, stop: asyncio.Event) -> bool:
        """Whether a sync was wanted and done; one that another process does just now is waited for."""
        while await self._database.do(partial(follower.sync_is_wanted, self._feed)):
            if stop.is_set():
                return False
            done = asyncio.create_task(asyncio.to_thread(self._sync))
            asking = asyncio.create_task(stop.wait())
            await asyncio.wait({done, asking}, return_when=asyncio.FIRST_COMPLETED)
            asking.cancel()
            if not done.done():
                self._halt.set()
            if await done:
                follow_metrics.SYNCS.labels(self._feed.name).inc()
                self._publisher.there_is_more.set()
                return True
            await comes_within(stop, 1.0)
        return False

    def _sync(self) -> bool:
        """In a thread: ask for every page. False where another process is at it, or we are to stop."""
        try:
            with FileLock(self._config.run_dir / f"sync_markets-{self._config.environment}.lock"):
                result = sync_from_venue(
                    self._feed, self._feed.version_on(timezone.now()), connect_attempts=2, halt=self._halt
                )
        except (Locked, Interrupted):
            return False
        except (httpx.HTTPError, httpx.InvalidURL, DatabaseError) as error:
            problem = f"The markets cannot be synced: {error or type(error).__name__}"
            raise Refused([Reason(problem)], exit_code=ExitCode.UNAVAILABLE) from error
        finally:
            connections.close_all()
        log.info("synced: events were missing", seen=result.seen, changed=result.changed + result.created)
        return True

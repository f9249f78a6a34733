"""The process: events on the bus to provisional normalized parts, within a minute, at least once.

It keeps no cursor and needs no acks: how far it is, it reads in the manifests of its own parts. Several at once write
some events twice, and readers take each once. It has no database.
"""

import asyncio
import gc
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from archive.layout import days_between
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage
from archive.normalized_part import MAX_RAW_BYTES, EventsBuilder
from archive.normalized_stand import Stand, StreamState, epoch_of, furthest, life_of, take_up
from archive.pull import Broken, Puller, identity_at, state_of
from archive.store import Store, StoreError
from streaming import failpoints, lifetime, metrics, transport
from streaming.lifetime import comes_within, stay_cancelled

log = structlog.get_logger()
T = TypeVar("T")

LOOK_EVERY_SECONDS = 0.5
RETRY_SECONDS = 1.0
PAUSE_SECONDS = 0.2  # before a broken consumer is made anew
DRAIN_SECONDS = 10.0
_SAY_POISON = 10  # of a part, one by one
_BUS_TROUBLE = (NatsError, OSError, TimeoutError, Broken)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiverConfig:
    """All that an archiver needs to know."""

    environment: str
    feed: str
    stream: str
    nats_url: str
    store: Store
    version: str
    part_seconds: float = 60
    part_bytes: int = MAX_RAW_BYTES
    retention_seconds: float = transport.RETENTION_SECONDS
    metrics_port: int = 0


def run(config: ArchiverConfig) -> None:
    """Archive until SIGTERM or SIGINT."""
    # What is there now lives as long as the process; messages by the thousand are no reason to look at it again.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    metrics.init_archiver(config.feed)
    metrics.serve_metrics(config.metrics_port)
    lifetime.run("archiver", Archiver(config).work)


class Archiver:
    """One stream to one store."""

    def __init__(self, config: ArchiverConfig) -> None:
        self._config = config
        self._halt = threading.Event()
        self._committer = EventsCommitter(
            config.store, feed=config.feed, environment=config.environment, halt=self._halt
        )
        self._builder = EventsBuilder(
            feed=config.feed,
            environment=config.environment,
            stream=config.stream,
            archiver_version=config.version,
            max_bytes=config.part_bytes,
            on_poison=self._note_poison,
        )
        self._part_begun = 0.0
        self._poisoned = 0  # since the last part
        self._said = ""
        self.is_reading = False

    @property
    def taken(self) -> int:
        """The number of the last message that was read."""
        return self._builder.last_seq

    async def work(self, stop: asyncio.Event) -> None:
        """Archive until asked to stop, then what is on the bus by then."""
        metrics.ARCHIVER_LAG.labels(self._config.feed).set_function(self._lag_seconds)
        used = metrics.ARCHIVER_RETENTION_USED.labels(self._config.feed)
        used.set_function(lambda: self._lag_seconds() / self._config.retention_seconds)
        halting = asyncio.create_task(self._halt_in_time(stop))
        try:
            await self._in_thread(self._committer.bind)
            while not stop.is_set():
                await self._until_broken(stop)
        except StoreError as error:
            log.warning("stopped without the store; the rest is still on the bus", error=str(error))
        finally:
            halting.cancel()
            self._healthy(False)

    async def _halt_in_time(self, stop: asyncio.Event) -> None:
        """A store that is away when we are asked to stop is not waited for."""
        await stop.wait()
        await asyncio.sleep(DRAIN_SECONDS)
        self._halt.set()

    async def _until_broken(self, stop: asyncio.Event) -> None:
        try:
            client = await transport.connect(self._config.nats_url, name="archiver")
            try:
                while not stop.is_set():
                    await self._follow(client, stop)
            finally:
                self._healthy(False)
                with suppress(*_BUS_TROUBLE):
                    async with asyncio.timeout(2):
                        await client.close()
        except NotFoundError:
            self._say(f"The stream {self._config.stream} is not there yet: the connector makes it.")
        except _BUS_TROUBLE as error:
            where = self._config.nats_url.rpartition("@")[2]  # without credentials
            self._say(f"The bus at {where} cannot be read: {str(error) or 'no answer'}.")
        stay_cancelled()
        await self._commit()
        await comes_within(stop, RETRY_SECONDS)

    async def _follow(self, client: Client, stop: asyncio.Event) -> None:
        """Read with one consumer until it breaks or we are asked to stop."""
        await self._take_up(client)
        stream = self._config.stream
        async with Puller(client, stream, after=self._builder.last_seq) as puller:
            self._healthy(True)
            self._say("")
            log.info(
                "archiving", stream=stream, epoch=self._builder.stand.epoch, after=self._builder.last_seq
            )
            try:
                while not stop.is_set():
                    await self._turn(puller)
                await self._drain(client, puller)
            except Broken as broken:
                metrics.ARCHIVER_RESTARTS.labels(self._config.feed).inc()
                log.warning("the consumer broke; it is made anew", why=str(broken))
                await comes_within(stop, PAUSE_SECONDS)
            await self._commit()

    async def _turn(self, puller: Puller) -> None:
        due_in = self._part_begun + self._config.part_seconds - time.monotonic()
        within = LOOK_EVERY_SECONDS if self._builder.is_empty else min(LOOK_EVERY_SECONDS, max(due_in, 0.01))
        messages = await puller.fetch(within=within)
        if messages:
            failpoints.reach("archiver.after_fetch")
        await self._take_all(messages)
        if not self._builder.is_empty and time.monotonic() - self._part_begun >= self._config.part_seconds:
            await self._commit()
        self._measure(puller.pending)

    async def _take_all(self, messages: list[BusMessage]) -> None:
        for message in messages:
            if not self._take(message):
                await self._commit()
                self._take(message)
            if self._builder.is_full:
                await self._commit()

    def _take(self, message: BusMessage) -> bool:
        builder = self._builder
        if builder.is_empty:
            self._part_begun = time.monotonic()
        if message.seq > builder.last_seq + 1:
            self._note_hole(message.seq)
        return builder.take(message)

    async def _drain(self, client: Client, puller: Puller) -> None:
        """What was published before we were asked to stop."""
        last = (await state_of(client, self._config.stream)).last_seq
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._builder.last_seq < last and time.monotonic() < deadline:
            await self._turn(puller)

    async def _take_up(self, client: Client) -> None:
        """Where to go on, by what we know and the manifests say."""
        state = await state_of(client, self._config.stream)
        known = await self._known(state)
        found = None
        if known and known.anchor.seq and state.first_seq <= known.anchor.seq <= state.last_seq:
            found = await identity_at(client, self._config.stream, known.anchor.seq)
        taken = take_up(known, state, found=found)
        if taken.why:
            metrics.ARCHIVER_NEW_LIVES.labels(self._config.feed).inc()
            log.error("the stream's numbers begin a new life", why=taken.why, epoch=taken.stand.epoch)
        self._builder.begin(taken.stand)
        metrics.ARCHIVER_POSITION.labels(self._config.feed).set(taken.stand.position)
        self._note_first(state)

    async def _known(self, state: StreamState) -> Stand | None:
        """The manifests are asked at the start, and before messages are called lost: others may have archived them."""
        created, ours = epoch_of(state.created), self._builder.stand
        is_ours = life_of(ours.epoch)[0] == created
        if is_ours and state.first_seq <= ours.position + 1:
            return ours
        days = _days_back(self._config.retention_seconds)
        stored = await self._in_thread(lambda: self._committer.stand(created, days))
        if is_ours and (stored is None or furthest(stored) < furthest(ours)):
            return ours
        return stored

    def _note_first(self, state: StreamState) -> None:
        if state.first_seq > self._builder.last_seq + 1:
            self._part_begun = time.monotonic()
            self._note_hole(state.first_seq)

    def _note_hole(self, seq: int) -> None:
        hole = self._builder.skip_to(seq)
        if hole is None:
            return
        first, last = hole
        metrics.ARCHIVER_HOLES.labels(self._config.feed).inc()
        metrics.ARCHIVER_HOLE_MESSAGES.labels(self._config.feed).inc(last - first + 1)
        log.error("stream_hole", stream=self._config.stream, first=first, last=last)

    def _note_poison(self, message: BusMessage, why: str) -> None:
        metrics.ARCHIVER_POISON.labels(self._config.feed).inc()
        self._poisoned += 1
        if self._poisoned <= _SAY_POISON:
            log.error("message put into quarantine", seq=message.seq, subject=message.subject[:200], why=why)

    async def _commit(self) -> None:
        if self._builder.is_empty:
            return
        if self._poisoned > _SAY_POISON:
            log.error("many messages put into quarantine", count=self._poisoned)
        self._poisoned = 0
        parts, end = self._builder.finish(now_ns=time.time_ns()), self._builder.end
        stand = await self._in_thread(lambda: self._committer.commit(parts, end))
        self._builder.begin(stand)
        metrics.ARCHIVER_POSITION.labels(self._config.feed).set(stand.position)
        failpoints.reach("archiver.after_part")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Stores block."""
        return await asyncio.to_thread(work)

    def _measure(self, pending: int) -> None:
        metrics.ARCHIVER_BEHIND.labels(self._config.feed).set(pending)

    def _lag_seconds(self) -> float:
        """Asked when somebody looks: it rises while the store is waited for, too."""
        builder = self._builder
        return max(0.0, time.time() - builder.first_stored_ns / 1e9) if builder.messages else 0.0

    def _healthy(self, is_healthy: bool) -> None:
        self.is_reading = is_healthy
        metrics.ARCHIVER_HEALTHY.labels(self._config.feed).set(float(is_healthy))

    def _say(self, what: str) -> None:
        """A bus that is away is asked every second: say it once."""
        if what and what != self._said:
            log.warning("waiting", why=what)
        self._said = what


def _days_back(seconds: float) -> list[date]:
    """Days on which a message that the stream may still hold can have been archived."""
    today = datetime.now(UTC).date()
    return days_between(today - timedelta(days=math.ceil(seconds / 86_400) + 1), today + timedelta(days=1))

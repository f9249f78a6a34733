"""Lifecycle events from the bus into the security master, in batches, from a position that stands beside the rows."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import structlog
from django.db import DataError, IntegrityError
from nats.aio.client import Client

from archive.normalized_message import BusMessage
from archive.pull import Broken, Puller, identity_at, state_of
from registry.models import Feed
from secmaster import follower
from secmaster.lifecycle import Told
from secmaster.position import Begin, Stand, StreamNow, take_up
from ssmd.market_database import Database
from ssmd.market_told import hides_events, is_combination, moment, session_of, told_of
from streaming import follow_metrics as metrics
from streaming import subjects
from streaming.lifetime import comes_within

log = structlog.get_logger()

BATCH = 500
FETCH_SECONDS = 0.5
LOOK_EVERY_SECONDS = 10.0
SAVE_EVERY_SECONDS = 60.0  # a position that moved without a change
LONGEST_REST_SECONDS = 1.0
# What one event can do to a batch, whatever it holds; trouble of the database itself is another matter.
_OF_ONE_EVENT = (DataError, IntegrityError, ValueError, TypeError, ArithmeticError, LookupError)


class Reader:
    """One stream's lifecycle events; `on_change` is called when there is something to publish."""

    def __init__(
        self, feed: Feed, stream: str, database: Database, *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self._feed, self._stream, self._database, self._on_change = feed, stream, database, on_change
        self._saved: Stand | None = None
        self._stand: Stand | None = None  # how far we are; what is not saved yet included
        self._saved_at = self._looked_at = 0.0
        self._missing_to = 0
        self._sessions: deque[str] = deque(maxlen=8)  # two may overlap
        self._oldest_ns = 0
        self.is_behind = False
        metrics.LAG.labels(feed.name).set_function(self._lag_seconds)

    async def read(self, client: Client, stop: asyncio.Event, *, until_drained: bool = False) -> None:
        """Take in what comes until asked to stop, or until there is no more; raises Broken or what the bus raises."""
        begin = await self._take_up(client)
        wanted = subjects.of_lifecycle(self._feed.name)
        puller = Puller(
            client, self._stream, after=begin.stand.seq, since=begin.since, subjects=wanted, batch=BATCH
        )
        try:
            async with puller:
                self._healthy(True)
                log.info("following", stream=self._stream, after=begin.stand.seq, since=begin.since)
                await self._read_on(client, puller, stop, until_drained)
        except Broken:
            metrics.RESTARTS.labels(self._feed.name).inc()
            raise
        finally:
            self._healthy(False)
            self.is_behind = False

    async def _read_on(
        self, client: Client, puller: Puller, stop: asyncio.Event, until_drained: bool
    ) -> None:
        self._looked_at = 0.0  # the first look makes the position known
        while not stop.is_set():
            messages = await puller.fetch(within=FETCH_SECONDS)
            self.is_behind = puller.pending > 0
            metrics.PENDING.labels(self._feed.name).set(puller.pending)
            begun = time.monotonic()
            if messages:
                await self._take(messages)
            is_due = time.monotonic() - self._looked_at >= LOOK_EVERY_SECONDS
            if (is_due or until_drained) and await self._look(client, puller) and until_drained:
                break
            if messages and puller.pending:
                # At most half of the time: what happens now, and who else writes, come in between.
                await comes_within(stop, min(time.monotonic() - begun, LONGEST_REST_SECONDS))
        await self._save_moved(is_last=True)

    # --- where to go on --------------------------------------------------------------------------------
    async def _take_up(self, client: Client) -> Begin:
        state = await state_of(client, self._stream)
        known = await self._database.do(partial(follower.stand_of, self._feed))
        synced_at = await self._database.do(partial(follower.synced_at, self._feed))
        anchored = None
        if known and known.anchor_seq and state.first_seq <= known.anchor_seq <= state.last_seq:
            anchored = await identity_at(client, self._stream, known.anchor_seq)
        now = StreamNow(self._stream, state.created, state.first_seq, state.last_seq, anchored)
        begin = take_up(known, now, synced_at=synced_at, now=datetime.now(UTC))
        self._saved, self._stand = known, begin.stand
        if known and not self._sessions and (session := session_of(known.anchor_id)):
            self._sessions.append(session)
        if begin.new_life:
            metrics.NEW_LIVES.labels(self._feed.name).inc()
            log.error("the stream's numbers begin a new life", why=begin.new_life, stream=self._stream)
        if begin.missing:
            self._note_hole(*begin.missing)
        return begin

    def _note_hole(self, first: int, last: int) -> None:
        self._missing_to = last
        metrics.HOLES.labels(self._feed.name).inc()
        log.error("stream_hole", stream=self._stream, first=first, last=last, answer="market sync")

    async def _look(self, client: Client, puller: Puller) -> bool:
        """Whether all that is on the bus is taken in; then the position moves over what is no lifecycle event."""
        assert self._stand is not None
        self._looked_at = time.monotonic()
        state = await state_of(client, self._stream)
        if state.created != self._stand.epoch or state.last_seq < self._stand.seq:
            raise Broken("the stream was made anew")
        if not await puller.is_drained():
            if state.first_seq - 1 > max(self._stand.seq, self._missing_to):
                self._note_hole(self._stand.seq + 1, state.first_seq - 1)
                self._want_sync()
            return False
        self._stand = replace(
            self._stand, seq=max(self._stand.seq, state.last_seq), read_at=datetime.now(UTC)
        )
        await self._save_moved()
        return True

    def _want_sync(self) -> None:
        assert self._stand is not None
        self._stand = replace(self._stand, sync_wanted_at=datetime.now(UTC))

    async def _save_moved(self, *, is_last: bool = False) -> None:
        assert self._stand is not None
        is_news = self._saved is None or (
            (self._saved.epoch, self._saved.sync_wanted_at) != (self._stand.epoch, self._stand.sync_wanted_at)
        )
        is_due = is_last or time.monotonic() - self._saved_at >= SAVE_EVERY_SECONDS
        if is_news or (is_due and self._saved != self._stand):
            await self._commit([], self._stand)

    # --- taking in -------------------------------------------------------------------------------------
    async def _take(self, messages: Sequence[BusMessage]) -> None:
        self._oldest_ns = messages[0].stored_ns
        for message in messages:
            self._note_session(message)
        told = [(message, self._told(message)) for message in messages]
        await self._store(told)
        self._oldest_ns = 0

    def _told(self, message: BusMessage) -> Told | None:
        """None for what cannot be read, and for what is no market of ours; both are counted."""
        try:
            if message.subject.split(".", 2)[1] == "gap":
                self._note_gap(message)
                return None
            told = told_of(message.data, stored_ns=message.stored_ns, identity=message.identity)
        except (ValueError, OverflowError) as error:
            self._note_unreadable(message, error)
            return None
        kind = "combination" if is_combination(told) else told.kind
        metrics.EVENTS.labels(self._feed.name, kind).inc()
        return None if is_combination(told) else told

    def _note_session(self, message: BusMessage) -> None:
        """Before a connector's new session there was a time without one; who was killed publishes no gap."""
        session = session_of(message.identity)
        if not session or session in self._sessions:
            return
        if self._sessions:
            self._note_missing(message)
        self._sessions.append(session)

    def _note_missing(self, message: BusMessage) -> None:
        metrics.GAPS.labels(self._feed.name).inc()
        log.warning("lifecycle events may be missing", after=message.identity, answer="market sync")
        self._want_sync()

    def _note_gap(self, message: BusMessage) -> None:
        if hides_events(message.data):
            self._note_missing(message)

    def _note_unreadable(self, message: BusMessage, error: Exception) -> None:
        """What it would have said, the next sync says."""
        metrics.EVENTS.labels(self._feed.name, "unreadable").inc()
        why = f"{type(error).__name__}: {error}"[:200]
        log.error("event passed over", seq=message.seq, subject=message.subject[:200], why=why)
        self._want_sync()

    async def _store(self, part: Sequence[tuple[BusMessage, Told | None]]) -> None:
        """In one transaction; where one event spoils it, in halves, until that one is alone and passed over."""
        assert self._stand is not None
        last = part[-1][0]
        told = [one for _, one in part if one is not None]
        try:
            after = self._stand.moved(last.seq, read_at=moment(last.stored_ns), anchor_id=last.identity)
            await self._commit(told, after)
        except _OF_ONE_EVENT as error:
            if len(part) > 1:
                middle = len(part) // 2
                await self._store(part[:middle])
                await self._store(part[middle:])
                return
            if not told:
                raise
            self._note_unreadable(last, error)
            await self._store([(last, None)])

    async def _commit(self, told: Sequence[Told], after: Stand) -> None:
        work = partial(follower.follow, self._feed, told, before=self._saved, after=after)
        followed = await self._database.do(work)
        self._saved = self._stand = after
        self._saved_at = time.monotonic()
        for change, number in followed.changes.items():
            metrics.MARKET_CHANGES.labels(self._feed.name, change).inc(number)
        metrics.LATE.labels(self._feed.name).inc(followed.late)
        if any(followed.changes.values()):
            self._on_change()

    def _lag_seconds(self) -> float:
        """Asked when somebody looks: it rises while the database is waited for, too."""
        return max(0.0, time.time() - self._oldest_ns / 1e9) if self._oldest_ns else 0.0

    def _healthy(self, is_healthy: bool) -> None:
        metrics.HEALTHY.labels(self._feed.name).set(float(is_healthy))

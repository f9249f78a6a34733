"""Reads the capture log behind the connector and puts its events on the bus."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from registry.refusal import Refused
from streaming import failpoints, metrics, subjects, transport, wire
from streaming.bus_connection import BusConnection, close
from streaming.bus_losses import BusLosses, Mark
from streaming.capture_log import CaptureLogReader, Cursor
from streaming.complaints import Complaints
from streaming.events import Event, GapNotice
from streaming.kalshi.messages import raw_type
from streaming.kalshi.normalizer import Normalizer
from streaming.lifetime import comes_within, stay_cancelled
from streaming.notices import identity_of, oversize_notices, with_books
from streaming.outbox import Outbox
from streaming.records import Kind, Record
from streaming.refusals import NOTE
from streaming.store_watch import StoreWatch

log = structlog.get_logger()

BATCH_BYTES = 128 * 1024  # of log read at a time: the loop's other tasks run between batches
MOST_UNSENT_BYTES = 4 * 1024 * 1024
STORE_EVERY_SECONDS = 0.2
DRAIN_SECONDS = 10.0
MEND_EVERY_SECONDS = 1.0
LOOK_EVERY_SECONDS = 3.0  # at what the bus still holds; at every reconnect and contradicting ack besides


class Publisher:
    """One session's log to one stream; `fresh` is set whenever the log has grown."""

    def __init__(
        self,
        reader: CaptureLogReader,
        cursor: Cursor,
        *,
        session: str,
        stream: transport.StreamSpec,
        with_raw: bool,
        notices: list[GapNotice],
        on_announced: Callable[[GapNotice], None] = lambda notice: None,
        mark: Mark | None = None,
    ) -> None:
        self.fresh = asyncio.Event()
        self.normalizer = Normalizer(session)
        self._reader, self._cursor = reader, cursor
        self._stream, self._feed, self._with_raw = stream, stream.feed, with_raw
        self._notices, self._on_announced = notices, on_announced
        self._outbox: Outbox | None = None
        self._client: Client | None = None
        self._complaints = Complaints(self._feed)
        self._watch = StoreWatch(stream.name)
        self.losses = BusLosses(self._feed, session, mark)
        self._writing_ended: asyncio.Event | None = None
        self._look_due = self._mend_due = 0.0  # monotonic
        self._repeated = 0
        self._published = metrics.CONNECTOR_PUBLISHED.labels(self._feed)

    async def run(self, nats_url: str, writing_ended: asyncio.Event) -> None:
        """Publish until the log has ended and everything of it is acknowledged, or the bus cannot be reached then."""
        self._writing_ended = writing_ended
        bus = BusConnection(
            nats_url,
            self._stream,
            look=self._look,
            on_denied=self._denied,
            note_file=self._reader.folder.parent / NOTE,
        )
        self._client = await bus.until_reached(writing_ended)
        if self._client is None:
            return
        self._outbox = Outbox(
            self._client, on_stored=self._stored, on_refused=bus.refusals.note, before_repeating=self._look
        )
        await self._outbox.open()
        keeper = asyncio.create_task(self._keep(bus), name="keep cursor")
        publishing = asyncio.create_task(self._publish_log(writing_ended), name="publish log")
        try:
            await self._until_drained(publishing, keeper, writing_ended)
        finally:
            keeper.cancel()
            publishing.cancel()
            self._store()
            await close(self._client)

    async def _until_drained(
        self,
        publishing: "asyncio.Task[None]",
        keeper: "asyncio.Task[None]",
        writing_ended: asyncio.Event,
    ) -> None:
        """What the bus does not take in time stays unpublished: the cursor says so, and raw has it."""
        ended = asyncio.create_task(writing_ended.wait(), name="writing ended")
        try:
            await asyncio.wait({publishing, keeper, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
        await asyncio.wait({publishing, keeper}, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in (publishing, keeper):
            if task.done():
                task.result()

    async def _publish_log(self, writing_ended: asyncio.Event) -> None:
        await self._announce()
        while True:
            self.fresh.clear()
            was_ended = writing_ended.is_set()
            await self._offer_notices()
            if records := self._reader.read(BATCH_BYTES):
                await self._publish(records)
                await asyncio.sleep(0)
            elif was_ended:
                return await self._drain()
            else:
                await self._wait_for_more()

    async def _announce(self) -> None:
        """What earlier sessions could not say themselves; said once it is stored."""
        for notice in self._notices:
            await self._offer(notice, identity=identity_of(notice), n=0)
        await self._drain()
        for notice in self._notices:
            self._on_announced(notice)

    async def _offer_notices(self) -> None:
        """What the bus just lost is said before anything new."""
        assert self._outbox is not None
        while self.losses.notices:
            notice = self.losses.notices.pop(0)
            await self._offer(notice, identity=identity_of(notice), n=self._outbox.offered_n + 1)

    async def _wait_for_more(self) -> None:
        await comes_within(self.fresh, 0.5)

    async def _publish(self, records: list[Record]) -> None:
        assert self._outbox is not None
        for record in records:
            unmappable = self.normalizer.unmappable
            for event in self._events_of(record):
                await self._offer(event, identity=identity_of(event), n=record.n)
            if self.normalizer.unmappable > unmappable:
                self._cannot_be_read(record)
            if record.kind == Kind.MARK:
                await self._complaints.tell(
                    self._client, self.normalizer.issues, session=self.normalizer.session
                )
            elif self._with_raw:
                await self._offer_raw(record)
            self._outbox.passed(record.n)
            failpoints.reach("publisher.after_publish")

    def _events_of(self, record: Record) -> Sequence[Event]:
        events = self.normalizer.apply(record)
        if record.kind != Kind.MARK:
            return events
        return with_books(events, self.normalizer.fold, record, session=self.normalizer.session)

    async def _offer(self, event: Event, *, identity: str, n: int) -> None:
        assert self._outbox is not None
        try:
            payload = wire.encode(event)
        except wire.WireError as error:  # raw has the frame; one value that does not fit must not end us
            self._complaints.note(
                "publish", subjects.token_of(event), problem=f"event not publishable: {identity}: {error}"
            )
            return
        address = subjects.address(self._feed, event)
        at_ns = event.from_ns if isinstance(event, GapNotice) else event.origin.received_ns
        if not await self._outbox.publish(address, payload, identity=identity, n=n, received_ns=at_ns):
            await self._too_large(event, len(payload), identity=identity, n=n)

    def _cannot_be_read(self, record: Record) -> None:
        """The venue may have changed its format: what such frames told is in raw, and not on the bus."""
        why, kind = self.normalizer.problem, raw_type(self.normalizer.frame_type)
        self._complaints.note("parse", kind, problem=f"frame not understood: record {record.n}: {why}")

    async def _too_large(self, event: Event, size: int, *, identity: str, n: int) -> None:
        """Tell readers of the market that they miss something: their book is not what it seems."""
        problem = f"event of {size} bytes too large for the bus: {identity}"
        self._complaints.note("publish", subjects.token_of(event), problem=problem)
        if not isinstance(event, GapNotice):
            for notice in oversize_notices(event):
                await self._offer(notice, identity=identity_of(notice), n=n)

    async def _offer_raw(self, record: Record) -> None:
        """The frame as it came, to whoever listens now; kept by no stream, acknowledged by nobody."""
        assert self._client is not None
        if self._client.pending_data_size > MOST_UNSENT_BYTES:  # nothing else would ever push back on these
            metrics.BUS_RAW_SKIPPED.labels(self._feed).inc()
            return
        try:
            kind = raw_type(self.normalizer.frame_type)
            await self._client.publish(subjects.raw(self._feed, kind), record.payload)
        except NatsError:
            metrics.BUS_RAW_SKIPPED.labels(self._feed).inc()

    async def _drain(self) -> None:
        assert self._outbox is not None
        while self._outbox.waiting:
            await asyncio.sleep(0.02)

    async def _keep(self, bus: BusConnection) -> None:
        assert self._outbox is not None
        while True:
            await asyncio.sleep(STORE_EVERY_SECONDS)
            self._store()
            await self._outbox.repeat_overdue()
            bus.measure(self._client, is_refused=self._outbox.is_refused)
            if self._client is not None and self._client.is_closed:
                await self._replace_client(bus)
            elif self._outbox.is_refused and time.monotonic() >= self._mend_due:
                await self._mend_stream(bus)
            elif self._watch.is_suspicious or time.monotonic() >= self._look_due:
                await self._look_in_passing(bus)

    def _denied(self, why: str) -> None:
        if self._outbox is not None:
            self._outbox.refuse(why)

    def _stored(self, seq: int, n: int, identity: str, received_ns: int, *, is_repeat: bool) -> None:
        self._published.inc()
        self._watch.stored(seq, n, identity, received_ns, is_repeat=is_repeat)

    async def _look(self, client: Client) -> None:
        """Whether the bus still holds what it acknowledged; raises where it does not answer."""
        hole = await self._watch.look(client)
        stay_cancelled()
        self._look_due = time.monotonic() + LOOK_EVERY_SECONDS
        metrics.BUS_FILL.labels(self._feed).set(self._watch.fill)
        if hole is not None:
            is_log_open = self._writing_ended is not None and not self._writing_ended.is_set()
            self.losses.tell(hole, is_log_open=is_log_open)
            self.fresh.set()

    async def _look_in_passing(self, bus: BusConnection) -> None:
        assert self._client is not None
        with suppress(NatsError, TimeoutError):
            await self._look(self._client)
        if self._watch.is_missing:
            log.error("the stream is gone", stream=self._stream.name)
            await self._mend_stream(bus)

    async def _mend_stream(self, bus: BusConnection) -> None:
        assert self._client is not None
        self._mend_due = time.monotonic() + MEND_EVERY_SECONDS
        await bus.mend(self._client)

    async def _replace_client(self, bus: BusConnection) -> None:
        """The library gives up for ever on some errors of the server; we do not."""
        assert self._outbox is not None
        log.warning("bus closed the connection", error=str(self._client.last_error) if self._client else "")
        with suppress(NatsError, OSError, TimeoutError, Refused):
            client = await bus.reach()
            try:
                await self._outbox.move(client)
            except BaseException:
                await close(client)
                raise
            self._client = client

    def _store(self) -> None:
        if self._outbox is None:
            return
        floor, unmarked_n = self._outbox.floor, self.losses.first_unmarked_n
        if unmarked_n is not None:
            floor = min(floor, max(unmarked_n - 1, 0))
        failpoints.reach("publisher.before_cursor")
        try:
            self._cursor.store(floor)
        except OSError as error:  # an older cursor only overstates what is unpublished
            log.warning("cursor not stored", error=str(error))
        metrics.CONNECTOR_PUBLISHED_LAST_N.labels(self._feed).set(floor)
        repeated, self._repeated = self._repeated, self._outbox.repeated
        metrics.BUS_REPEATS.labels(self._feed).inc(self._repeated - repeated)

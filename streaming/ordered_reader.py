"""Every message of a JetStream stream in order, from a position on: what is missed is read again, or named.

nats-py's own ordered consumer advances its position before it drops a message that its queue has no room for, and
then never asks for it again; here the position moves only with what was handed over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from streaming.lifetime import comes_within, stay_cancelled

log = structlog.get_logger()

HEARTBEAT_SECONDS = 2.0
RETRY_SECONDS = 0.5
# Room for bursts between two turns of the event loop; the server stops by flow control long before.
_PENDING_BYTES = 256 * 1024 * 1024

OnMessage = Callable[[str, int, bytes], None]  # subject, stream sequence, payload


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream stands: its creation names its numbering."""

    epoch: datetime
    first_seq: int
    last_seq: int


async def position_of(nc: Client, stream: str) -> Position:
    """The stream's position now."""
    info = await nc.jetstream().stream_info(stream)
    return Position(info.created, info.state.first_seq, info.state.last_seq)


class OrderedReader:
    """Hands over each message that arrives from the time `run` is called; one push consumer, remade when broken."""

    def __init__(
        self,
        nc: Client,
        stream: str,
        *,
        on_message: OnMessage,
        on_ready: Callable[[Position], None],
        on_hole: Callable[[int, int], None],
        on_new_numbering: Callable[[], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._nc, self._stream = nc, stream
        self._on_message, self._on_ready = on_message, on_ready
        self._on_hole, self._on_new_numbering = on_hole, on_new_numbering
        self._on_trouble = on_trouble
        self._broken = asyncio.Event()
        self._why = self._said = ""
        self._last_heard = 0.0
        self._next_delivery = 1
        self._epoch: datetime | None = None
        self._anchor: tuple[int, str, bytes] | None = None  # the last message: its sequence, subject, payload
        self.last_seq = 0

    def restart(self, why: str) -> None:
        """Make the consumer anew from where reading stands: after a reconnect it may be gone."""
        self._why = why
        self._broken.set()

    def resume_after(self, *, seq: int, epoch: datetime) -> None:
        """Begin after what an earlier reader handed over, in that numbering."""
        self.last_seq, self._epoch = seq, epoch

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self._broken.clear()
            try:
                await self._read_until_broken()
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError) as error:
                self._why = f"{type(error).__name__}: {error}".rstrip(": ")
                stay_cancelled()
                self._on_trouble(f"The stream {self._stream} cannot be read ({self._why}).")
                await asyncio.sleep(RETRY_SECONDS)
            self._log_restart()

    def _log_restart(self) -> None:
        # A stream that does not exist yet is asked for twice a second: say it once.
        if self._why != self._said:
            log.info("stream_reader_restarts", stream=self._stream, why=self._why, last_seq=self.last_seq)
        self._said = self._why

    async def _read_until_broken(self) -> None:
        position = await position_of(self._nc, self._stream)
        self._take_up(position, is_renumbered=await self._is_renumbered(position))
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(
            inbox, cb=self._receiver(), pending_msgs_limit=-1, pending_bytes_limit=_PENDING_BYTES
        )
        consumer = await self._nc.jetstream().add_consumer(self._stream, config=self._config(inbox))
        try:
            stay_cancelled()
            self._said = ""
            self._on_ready(position)
            await self._watch()
        finally:
            await self._remove(subscription, str(consumer.name))

    async def _is_renumbered(self, position: Position) -> bool:
        """Whether our position means other messages now: a store that was restored may have grown past it again."""
        if self._epoch is None:
            return False
        if self._epoch != position.epoch or position.last_seq < self.last_seq:
            return True
        if self._anchor is None or self._anchor[0] < position.first_seq:
            return False
        try:
            found = await self._nc.jetstream().get_msg(self._stream, self._anchor[0])
        except nats.js.errors.NotFoundError:
            return False  # deleted by hand, or for its age
        return (found.subject, found.data or b"") != self._anchor[1:]

    def _take_up(self, position: Position, *, is_renumbered: bool) -> None:
        """Where to go on: after what was handed over, unless the numbers now mean something else."""
        if self._epoch is None:
            self.last_seq = position.last_seq
        elif is_renumbered:
            self.last_seq, self._anchor = position.last_seq, None
            self._on_new_numbering()
        elif position.first_seq > self.last_seq + 1:
            self._on_hole(self.last_seq + 1, position.first_seq - 1)
            self.last_seq = position.first_seq - 1
        self._epoch = position.epoch

    def _config(self, inbox: str) -> ConsumerConfig:
        return ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self.last_seq + 1,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=HEARTBEAT_SECONDS,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=30,
        )

    def _receiver(self) -> Callable[[Msg], Any]:
        """A callback of its own for each consumer: what a replaced one still sends is not taken."""
        self._next_delivery = 1
        self._last_heard = asyncio.get_running_loop().time()
        broken = self._broken = asyncio.Event()

        async def receive(message: Msg) -> None:
            if broken is not self._broken or broken.is_set():
                return
            self._last_heard = asyncio.get_running_loop().time()
            if message.headers and "Status" in message.headers:
                await self._control(message)
            else:
                self._deliver(message)

        return receive

    def _deliver(self, message: Msg) -> None:
        seq, delivery = sequences(message.reply)
        if delivery != self._next_delivery:
            self.restart(f"delivery {delivery} came where {self._next_delivery} was due")
            return
        self._next_delivery += 1
        if seq > self.last_seq + 1:  # taken out of the stream before it was our turn
            self._on_hole(self.last_seq + 1, seq - 1)
        self._on_message(message.subject, seq, message.data)
        self.last_seq, self._anchor = seq, (seq, message.subject, message.data)

    async def _control(self, message: Msg) -> None:
        """A heartbeat tells what was sent last; flow control, and a stalled consumer, want an answer."""
        headers = message.headers or {}
        last = headers.get("Nats-Last-Consumer")
        if last is not None and int(last) != self._next_delivery - 1:
            self.restart(f"the server sent {last} messages, {self._next_delivery - 1} came")
        answer_to = message.reply or headers.get("Nats-Consumer-Stalled")
        if answer_to:
            await self._nc.publish(answer_to)

    async def _watch(self) -> None:
        """Until a message is missing, or the server was silent for three heartbeats."""
        loop = asyncio.get_running_loop()
        broken = self._broken
        while not broken.is_set():
            stay_cancelled()
            left = self._last_heard + 3 * HEARTBEAT_SECONDS - loop.time()
            if left <= 0:
                self.restart("no heartbeat")
                return
            await comes_within(broken, left)

    async def _remove(self, subscription: Any, consumer: str) -> None:
        try:
            await subscription.unsubscribe()
            await self._nc.jetstream().delete_consumer(self._stream, consumer)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            log.debug("consumer_left_to_expire", stream=self._stream, consumer=consumer)


def sequences(reply: str) -> tuple[int, int]:
    """(stream sequence, delivery number) from a delivered message's reply subject.

    `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<delivery>.<time>.<pending>`; with a domain and an account
    hash after ACK, and a token after pending, on newer servers (ADR-15).
    """
    tokens = reply.split(".")
    at = 5 if len(tokens) == 9 else 7
    return int(tokens[at]), int(tokens[at + 1])


class TooMuch(Exception):
    """More messages than the reader wanted to read; `count` of them."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} messages")
        self.count = count


async def read_past(
    nc: Client, stream: str, *, subjects: list[str], after: int | datetime, most: int | None = None
) -> list[tuple[str, int, bytes]]:
    """The (subject, sequence, payload) of all messages on `subjects` up to now.

    `after` a sequence, or stored at or after a time; raises TooMuch before it reads more than `most`.
    """
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox, pending_msgs_limit=-1, pending_bytes_limit=_PENDING_BYTES)
    config = ConsumerConfig(
        deliver_subject=inbox,
        ack_policy=AckPolicy.NONE,
        max_deliver=1,
        filter_subjects=subjects,
        mem_storage=True,
        num_replicas=1,
        inactive_threshold=5,
    )
    if isinstance(after, int):
        config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, after + 1
    else:
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, after
    try:
        info = await nc.jetstream().add_consumer(stream, config=config)
        count = (info.num_pending or 0) + info.delivered.consumer_seq
        if most is not None and count > most:
            raise TooMuch(count)
        return await _collect(subscription, is_empty=count == 0)
    finally:
        await subscription.unsubscribe()


async def _collect(subscription: Any, *, is_empty: bool) -> list[tuple[str, int, bytes]]:
    found: list[tuple[str, int, bytes]] = []
    while not is_empty:
        message = await subscription.next_msg(timeout=5)
        seq, delivery = sequences(message.reply)
        if delivery != len(found) + 1:
            raise nats.errors.Error(f"delivery {delivery} came where {len(found) + 1} was due")
        found.append((message.subject, seq, message.data))
        is_empty = message.metadata.num_pending == 0
    return found

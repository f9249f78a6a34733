"""Messages of a stream in order, pulled in large batches without acks: what is asked for bounds what may come.

nats-py's own `fetch` waits for each message with a future of its own: a third of this rate.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from archive.normalized_message import BusMessage
from archive.normalized_stand import StreamState

log = structlog.get_logger()

BATCH = 4000  # messages that one request asks for
BATCH_BYTES = 8 * 1024 * 1024
EXPIRES_SECONDS = 10.0
HEARTBEAT_SECONDS = 1.0
_SILENT_BEATS = 3
INACTIVE_SECONDS = 30
# How far we are stands in our own manifests; a consumer that waits for acks would send again, or stop.
ACKS = AckPolicy.NONE
_NO_ROOM = "message size exceeds maxbytes"


class Broken(Exception):
    """The consumer is gone or lost something: it must be made anew."""


async def state_of(nc: Client, stream: str) -> StreamState:
    """The stream as it stands now."""
    info = await nc.jetstream(timeout=5).stream_info(stream)
    return StreamState(info.created, info.state.first_seq, info.state.last_seq)


async def identity_at(nc: Client, stream: str, seq: int) -> str | None:
    """The identity of the message with this number; None when there is none."""
    try:
        message = await nc.jetstream(timeout=5).get_msg(stream, seq)
    except nats.js.errors.NotFoundError:
        return None
    headers: dict[str, str] = message.headers or {}
    return headers.get("Nats-Msg-Id", "")


class Puller:
    """One ephemeral consumer without acks, from the message after `after` on. `async with`, then `fetch`.

    `since`: from what was stored then on, instead; `subjects`: only what matches one of them; `batch`: at most so many
    at once.
    """

    def __init__(
        self,
        nc: Client,
        stream: str,
        *,
        after: int,
        since: datetime | None = None,
        subjects: list[str] | None = None,
        batch: int = BATCH,
    ) -> None:
        self._nc, self._stream, self._after = nc, stream, after
        self._since, self._subjects, self._batch = since, subjects, batch
        self._inbox = nc.new_inbox()
        self._next_delivery = 1
        self._asked = 0  # messages that were asked for and did not come yet
        self._silent = 0.0
        self._one_at_a_time = False
        self.pending = 0  # messages in the stream behind the last one that came

    async def __aenter__(self) -> Self:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._after + 1,
            filter_subjects=self._subjects,
            ack_policy=ACKS,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=INACTIVE_SECONDS,
        )
        if self._since is not None:
            config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_TIME, None
            config.opt_start_time = self._since
        info = await self._nc.jetstream(timeout=5).add_consumer(self._stream, config=config)
        self._consumer, self.pending = str(info.name), info.num_pending or 0
        self._subscription: Subscription = await self._nc.subscribe(
            self._inbox, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._subscription.unsubscribe()
            await self._nc.jetstream(timeout=1).delete_consumer(self._stream, self._consumer)
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            log.debug("consumer_left_to_expire", stream=self._stream, consumer=self._consumer)

    async def fetch(self, *, within: float) -> list[BusMessage]:
        """What has come, in order; waits `within` seconds for the first of it. Raises Broken."""
        if self._asked <= self._batch // 2:
            await self._ask()
        waiting = await self._wait(within)
        self._silent = 0.0 if waiting else self._silent + within
        if self._silent >= _SILENT_BEATS * HEARTBEAT_SECONDS:
            raise Broken("no heartbeat of the consumer")
        return self._messages(waiting)

    async def is_drained(self) -> bool:
        """Whether every message that was in the stream before this was asked has been fetched."""
        info = await self._nc.jetstream(timeout=5).consumer_info(self._stream, self._consumer)
        return not info.num_pending and info.delivered.consumer_seq == self._next_delivery - 1

    async def _ask(self) -> None:
        room = {"batch": 1} if self._one_at_a_time else {"batch": self._batch, "max_bytes": BATCH_BYTES}
        self._one_at_a_time = False
        expires, beat = int(EXPIRES_SECONDS * 1e9), int(HEARTBEAT_SECONDS * 1e9)
        request = json.dumps({**room, "expires": expires, "idle_heartbeat": beat}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._nc.publish(subject, request, reply=self._inbox)
        self._asked += room["batch"]

    async def _wait(self, within: float) -> list[Msg]:
        """All that lies in the subscription's queue: one turn of the loop for many messages."""
        queue = self._subscription._pending_queue
        if queue.empty():
            try:
                async with asyncio.timeout(within):
                    first = await queue.get()
            except TimeoutError:
                return []
            found = [first]
        else:
            found = []
        while len(found) < self._batch and not queue.empty():
            found.append(queue.get_nowait())
        self._subscription._pending_size -= sum(len(message.data) for message in found)
        return found

    def _messages(self, waiting: Sequence[Msg]) -> list[BusMessage]:
        """What comes before a break is handed over; the break shows again at the next turn."""
        found: list[BusMessage] = []
        had_any = self._next_delivery
        for message in waiting:
            headers: dict[str, str] = message.headers or {}
            if "Status" in headers:
                self._control(headers, made_progress=self._next_delivery > had_any)
                continue
            tokens = message.reply.split(".")
            at = 5 if len(tokens) == 9 else 7  # ADR-15: newer servers put a domain and an account before
            self._count_delivery(int(tokens[at + 1]))
            self._asked -= 1
            self.pending = int(tokens[at + 3])
            identity = headers.get("Nats-Msg-Id", "")
            found.append(
                BusMessage(int(tokens[at]), message.subject, identity, int(tokens[at + 2]), message.data)
            )
        return found

    def _count_delivery(self, number: int) -> None:
        if number != self._next_delivery:
            raise Broken(f"delivery {number} came where {self._next_delivery} was due")
        self._next_delivery += 1

    def _control(self, headers: dict[str, str], *, made_progress: bool) -> None:
        """The server ends a request, or says that it is there."""
        status, text = headers["Status"], headers.get("Description", "")
        if status == "100":
            return
        left = int(headers.get("Nats-Pending-Messages", 0))
        is_no_room = status == "409" and text.lower().startswith(_NO_ROOM)
        if not (status in ("404", "408") or is_no_room or text.lower().startswith("batch completed")):
            raise Broken(f"{status} {text}".strip())
        self._asked = max(0, self._asked - left)
        # A message larger than a whole request: the next one asks for it alone, whatever its size.
        self._one_at_a_time = is_no_room and left == self._batch and not made_progress

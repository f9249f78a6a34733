"""A venue that numbers what it sends, and a connector in this process that records it: for faults of the host."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from nats.aio.client import Client
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from streaming import transport
from streaming.connector import Connector
from streaming.connector_config import ConnectorConfig
from streaming.transport import StreamSpec
from tests.faults.capture_rig import Rig
from tests.faults.recorder import ENVIRONMENT, FEED
from tests.running import free_port

PADDING = "x" * 600
CHANNEL_OF = {"trade": "trade", "ticker": "ticker", "orderbook_delta": "orderbook_delta"}


@dataclass
class Venue:
    """Answers commands, and sends what the test tells it to; everything it sent stands in the rig's ledger."""

    rig: Rig
    url: str = ""
    connections: int = 0
    _open: ServerConnection | None = None
    _seq: dict[str, int] = field(default_factory=dict)
    _sids: dict[str, int] = field(default_factory=dict)

    async def script(self, connection: ServerConnection) -> None:
        """One connection: its numbers begin anew."""
        self.connections += 1
        self._open, self._seq, self._sids = connection, {}, {}
        with suppress(ConnectionClosed):
            async for text in connection:
                await self._answer(connection, json.loads(text))

    @property
    def is_subscribed(self) -> bool:
        """Whether the channels that are sent for all markets are open."""
        return {"trade", "ticker"} <= self._sids.keys()

    async def _answer(self, connection: ServerConnection, command: dict[str, Any]) -> None:
        for channel in command["params"].get("channels", ()):
            sid = self._sids.setdefault(channel, len(self._sids) + 1)
            await self._send(connection, {"type": "subscribed", "id": command["id"], "msg": {"channel": channel, "sid": sid}})  # fmt: skip

    async def send(self, kind: str, number: int) -> None:
        """One frame; numbered within its channel, as trades are and tickers are not."""
        connection = self._open
        assert connection is not None
        body = {"market_ticker": f"M-{number}", "trade_id": f"t{number}", "padding": PADDING}
        frame: dict[str, Any] = {"type": kind, "sid": self._sids.get(kind, 9), "msg": body}
        if kind != "ticker":
            frame["seq"] = self._seq[kind] = self._seq.get(kind, 0) + 1
        await self._send(connection, frame)

    async def _send(self, connection: ServerConnection, frame: dict[str, Any]) -> None:
        text = json.dumps(frame)
        with self.rig.ledger.open("a") as ledger:
            ledger.write(json.dumps({"conn": self.connections, "frame": text}) + "\n")
        with suppress(ConnectionClosed):
            await connection.send(text)

    def write_at_once(self, kind: str, first: int, count: int, *, padding: int) -> None:
        """Many frames as one piece of bytes (RFC 6455, 5.2): faster than a library sends them."""
        assert self._open is not None
        pieces = list[bytes]()
        with self.rig.ledger.open("a") as ledger:
            for number in range(first, first + count):
                self._seq[kind] = self._seq.get(kind, 0) + 1
                body = {"market_ticker": "M", "trade_id": f"t{number}", "padding": "x" * padding}
                frame = {"type": kind, "sid": self._sids.get(kind, 9), "seq": self._seq[kind], "msg": body}
                text = json.dumps(frame)
                ledger.write(json.dumps({"conn": self.connections, "frame": text}) + "\n")
                pieces += [b"\x81\x7e", len(text).to_bytes(2, "big"), text.encode()]
        self._open.transport.write(b"".join(pieces))

    def leave(self) -> None:
        """End the connection, rudely."""
        if self._open is not None:
            self._open.transport.abort()


@asynccontextmanager
async def a_venue(rig: Rig) -> AsyncIterator[Venue]:
    """It listens while the block runs."""
    venue = Venue(rig)
    async with serve(venue.script, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        venue.url = f"ws://127.0.0.1:{port}/trade-api/ws/v2"
        yield venue


def config_for(rig: Rig, venue: Venue, **options: Any) -> ConnectorConfig:
    """No bus and no REST: the host's faults must not need them."""
    return ConnectorConfig(
        feed=FEED, feed_version="v2", environment=ENVIRONMENT, environment_version=1, config_hash="h",
        endpoint=venue.url, rest_endpoint="http://127.0.0.1:1/trade-api/v2", credentials=None,
        nats_url=f"nats://127.0.0.1:{free_port()}", stream=StreamSpec(f"ssmd-{FEED}", FEED, max_bytes=2**26),
        capture=rig.capture, code_version="0", with_raw=False, **options,
    )  # fmt: skip


class Session:
    """A connector that runs while the block does."""

    def __init__(self, config: ConnectorConfig, **options: Any) -> None:
        self.connector = Connector(config, **options)
        self.stop = asyncio.Event()
        self.running = asyncio.create_task(self.connector.run(self.stop), name="connector")

    @property
    def capture(self) -> Any:
        return getattr(self.connector, "_capture", None)

    async def until(self, holds: Callable[[], object], *, seconds: float = 10) -> bool:
        """Whether it came true in time; what the markets' list would do is done meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (self.capture and holds()) and not self.running.done():
                    if self.capture:
                        self.capture.want_books()
                    await asyncio.sleep(0.02)
        if self.running.done():
            self.running.result()
        return bool(self.capture and holds())

    async def end(self) -> None:
        """Stop it as an operator would."""
        self.stop.set()
        await asyncio.gather(self.running, return_exceptions=True)


async def with_session(
    rig: Rig, act: Callable[[Venue, Session], Awaitable[None]], *, options: dict[str, Any], **parts: Any
) -> None:
    """A venue and a connector for `act`; afterwards both end in order."""
    with no_bus():
        await _with_session(rig, act, options=options, **parts)


@contextmanager
def no_bus() -> Iterator[None]:
    """The bus refuses at once: what it costs to wait for one is not what is tested here."""

    async def refuses(url: str, *, name: str, **_: Any) -> Client:
        raise OSError(f"no bus for {name} at {url}")

    connect, transport.connect = transport.connect, refuses
    try:
        yield
    finally:
        transport.connect = connect


async def _with_session(
    rig: Rig, act: Callable[[Venue, Session], Awaitable[None]], *, options: dict[str, Any], **parts: Any
) -> None:
    async with a_venue(rig) as venue:
        session = Session(config_for(rig, venue, **options), **parts)
        try:
            # A frame sent before its channel has a number of its own would look like a lost one.
            await session.until(lambda: venue.is_subscribed)
            await act(venue, session)
        finally:
            await session.end()

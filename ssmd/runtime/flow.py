"""Does market data flow? Looks at three places: the capture log, the bus and the WebSocket of the gateway."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nats.errors import Error as NatsError
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import WebSocketException

from streaming.subjects import MARKET_TOKENS
from streaming.transport import connect as connect_bus

LOOK_EVERY_SECONDS = 0.1
# A recording that ended before the gateway was up leaves nothing to see there.
SILENCE_SECONDS = 5.0
MARKET_MESSAGES = ("trade", "orderbook")


@dataclass(slots=True)
class Seen:
    """What was seen of the data so far, and since when the stream has been open (monotonic seconds)."""

    captured_bytes: int = 0
    bus_messages: int = 0
    bus_last: float = 0.0
    stream_open_since: float = 0.0
    stream_messages: int = 0

    def flows(self, now: float) -> bool:
        """Is the data on its way through all three places, or was it, before the gateway was up?"""
        if not (self.captured_bytes and self.bus_messages and self.stream_open_since):
            return False
        return self.stream_messages > 0 or now - max(self.bus_last, self.stream_open_since) > SILENCE_SECONDS

    def suspects(self) -> tuple[str, tuple[str, ...]]:
        """What is missing, and the programs to look at, the most suspect first."""
        if not self.captured_bytes:
            return "no frame was captured", ("connector", "exchange")
        if not self.bus_messages:
            return "frames are captured, but none reaches the bus", ("connector", "nats")
        if not self.stream_open_since:
            return "data are on the bus, but the gateway accepts no WebSocket", ("web",)
        return "data are on the bus, but the gateway streams none", ("web", "connector")


async def watch(seen: Seen, *, nats_url: str, feed: str, capture: Path, stream_url: str) -> None:
    """Fill in `seen` until data flow; the caller sets the deadline."""
    before = captured_bytes(capture)
    watchers = [_watch_bus(seen, nats_url, feed), _watch_stream(seen, stream_url)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher) for watcher in watchers]
        while not seen.flows(time.monotonic()):
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            seen.captured_bytes = captured_bytes(capture) - before
        for task in tasks:
            task.cancel()


def captured_bytes(capture: Path) -> int:
    """The size of all capture log segments below `capture`."""
    total = 0
    for segment in capture.glob("*/*.log"):
        with contextlib.suppress(FileNotFoundError):  # shipped and removed meanwhile
            total += segment.stat().st_size
    return total


async def _watch_bus(seen: Seen, url: str, feed: str) -> None:
    while True:
        with contextlib.suppress(OSError, TimeoutError, NatsError):
            await _count_on_bus(seen, url, feed)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _count_on_bus(seen: Seen, url: str, feed: str) -> None:
    client = await connect_bus(url, name="ssmd up")
    try:
        subscription = await client.subscribe(f"{feed}.*.*")
        async for message in subscription.messages:
            if message.subject.split(".")[1] in MARKET_TOKENS:
                seen.bus_messages += 1
                seen.bus_last = time.monotonic()
    finally:
        await client.close()


async def _watch_stream(seen: Seen, url: str) -> None:
    while True:
        try:
            async with connect_websocket(url, compression=None, proxy=None) as stream:
                seen.stream_open_since = time.monotonic()
                async for text in stream:
                    seen.stream_messages += json.loads(text).get("type") in MARKET_MESSAGES
        except (OSError, WebSocketException, TimeoutError):
            seen.stream_open_since = 0.0
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def bus_total(url: str, stream: str) -> int | None:
    """How many messages the stream ever took in; None when it cannot be asked."""
    try:
        client = await connect_bus(url, name="ssmd up")
        try:
            return int((await client.jetstream(timeout=2).stream_info(stream)).state.last_seq)
        finally:
            await client.close()
    except (OSError, TimeoutError, NatsError):
        return None


def wait_for_port(port: int, *, seconds: float, alive: Callable[[], bool]) -> bool:
    """Wait until somebody accepts connections on the port of the loopback interface."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
            return True
        time.sleep(0.03)
    return False

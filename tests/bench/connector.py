"""Connector path: socket -> capture log -> conversation -> Cap'n Proto -> JetStream, every message acknowledged.

The ceiling is nats-py alone: publish with Nats-Msg-Id, acks to one shared inbox, messages of the same size and number.
"""

import asyncio
import tempfile
import time
from pathlib import Path

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from streaming.capture_log import CaptureLogReader
from streaming.records import Kind, Record
from tests.bench.figure import Figure
from tests.bench.frames import replay_of
from tests.end_to_end.system import ENVIRONMENT, STREAM, System, system

MESSAGE_BYTES = 300


def measure() -> list[Figure]:
    """Frames a second from the first order book received to the last message stored."""
    with tempfile.TemporaryDirectory() as folder, system(Path(folder) / "home") as one:
        one.start_exchange(*replay_of(one))
        one.start_connector()
        one.wait_for("exchange", seconds=300)
        one.stop("connector", seconds=60)
        frames = _frames(one)
        stored_at, messages = asyncio.run(_last_stored(one))
        seconds = stored_at - frames[0].received_ns / 1e9
        ceiling = asyncio.run(_bare_publish(one, messages))
    return [Figure("connector", round(len(frames) / seconds), "frames/s", round(ceiling))]


def _frames(one: System) -> list[Record]:
    session = max((one.home / "capture" / ENVIRONMENT).glob("kalshi-sim-*"))
    reader, found = CaptureLogReader(session), []
    while records := reader.read():
        found += [record for record in records if record.kind != Kind.MARK]
    first = next(index for index, record in enumerate(found) if b'"orderbook_snapshot"' in record.payload)
    return found[first:]


async def _last_stored(one: System) -> tuple[float, int]:
    """(Unix seconds of the last order book or trade in the stream, messages in it)."""
    client = await nats.connect(f"nats://127.0.0.1:{one.nats_port}")
    js = client.jetstream()
    state = (await js.stream_info(STREAM, subjects_filter=">")).state
    last = 0.0
    for subject in state.subjects or {}:
        if subject.split(".")[1] in ("orderbook", "trade", "checkpoint"):
            message = await js.get_last_msg(STREAM, subject)
            assert message.time is not None
            last = max(last, message.time.timestamp())
    await client.close()
    return last, state.messages


async def _bare_publish(one: System, messages: int) -> float:
    """Messages a second: the bare library doing the same work on the same server."""
    client = await nats.connect(f"nats://127.0.0.1:{one.nats_port}")
    await client.jetstream().add_stream(name="ceiling", subjects=["ceiling.*"])
    began = time.monotonic()
    await _publish(client, messages)
    seconds = time.monotonic() - began
    await client.close()
    return messages / seconds


async def _publish(client: Client, messages: int) -> None:
    inbox, acked, done = client.new_inbox(), 0, asyncio.Event()

    async def count(_: Msg) -> None:
        nonlocal acked
        acked += 1
        if acked == messages:
            done.set()

    await client.subscribe(inbox, cb=count, pending_msgs_limit=-1, pending_bytes_limit=-1)
    payload = b"x" * MESSAGE_BYTES
    for number in range(messages):
        await client.publish("ceiling.x", payload, reply=inbox, headers={"Nats-Msg-Id": f"bench.{number}.0"})
        while number - acked > 4096:
            await asyncio.sleep(0)
    await done.wait()

"""What a stream holds, read back."""

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from streaming import wire
from streaming.events import Event


async def stored(url: str, stream: str) -> list[tuple[str, bytes, str]]:
    """(subject, payload, message id) of everything in the stream, in its order."""
    client = await nats.connect(url, connect_timeout=2)
    js = client.jetstream()
    total = (await js.stream_info(stream)).state.messages
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, max_ack_pending=-1, ack_policy="none")
    puller = await js.pull_subscribe("", stream=stream, config=config)
    found: list[tuple[str, bytes, str]] = []
    while len(found) < total:
        for one in await puller.fetch(min(2000, total - len(found)), timeout=5):
            found.append((one.subject, one.data, (one.headers or {}).get("Nats-Msg-Id", "")))
    await client.close()
    return found


async def published(url: str, stream: str) -> list[Event]:
    """The same as events."""
    return [wire.decode(subject.split(".")[1], data) for subject, data, _ in await stored(url, stream)]

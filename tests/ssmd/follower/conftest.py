"""A bus with a feed's stream, a registry, and a follower of both in this process; the database is the test's."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import pytest
from django.db import connections
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from registry.models import Feed
from secmaster.models import Market
from ssmd.market_database import Database
from ssmd.market_publisher import OutboxPublisher
from ssmd.market_reader import Reader
from streaming import follow_metrics, subjects, wire
from streaming.events import MarketStatus, Origin, Status
from streaming.transport import StreamSpec, ensure_stream
from tests.running import NatsServer

NOW_NS = 1_786_449_600_000_000_000
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a running server with JetStream."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


class Scene:
    """One feed with its stream; `follow` is what a process does from its start to its end."""

    def __init__(self, url: str, feed: Feed, client: Client) -> None:
        self.url, self.feed, self.client = url, feed, client
        self.stream = f"ssmd-{feed.name}"
        self.js = client.jetstream(timeout=5)
        self._numbers = itertools.count(1)
        follow_metrics.init_follower(feed.name)

    async def make_stream(self) -> None:
        """As the connector does."""
        await ensure_stream(self.client, StreamSpec(self.stream, self.feed.name, max_bytes=64 * 1024**2))

    async def tell(
        self, ticker: str, status: Status, seconds: float = 0, *, session: str = "first", **changes: Any
    ) -> None:
        """Publish an event that was received so many seconds after a fixed moment."""
        received = NOW_NS + int(seconds * SECOND_NS)
        origin = Origin(f"{self.feed.name}-{session}", next(self._numbers), 0, received, 1)
        event = MarketStatus(ticker=ticker, status=status, venue_ns=None, origin=origin, **changes)
        await self.send(subjects.address(self.feed.name, event), wire.encode(event), origin.identity)

    async def send(self, subject: str, payload: bytes, identity: str) -> None:
        """Publish anything."""
        await self.js.publish(subject, payload, headers={"Nats-Msg-Id": identity})

    async def follow(self) -> None:
        """Take in and publish all that there is."""
        stop, database = asyncio.Event(), Database(self.feed.name)
        await Reader(self.feed, self.stream, database).read(self.client, stop, until_drained=True)
        publisher = OutboxPublisher(self.feed, self.stream, database)
        await publisher.publish(self.client, stop, until_empty=True)
        await database.do(connections.close_all)

    async def published(self) -> list[dict[str, Any]]:
        """Every change on the bus, in its order."""
        config = ConsumerConfig(ack_policy="none", inactive_threshold=5)
        subject = subjects.secmaster(self.feed.name, "*")
        puller = await self.js.pull_subscribe(subject, stream=self.stream, config=config)
        pending = (await puller.consumer_info()).num_pending or 0
        messages = await puller.fetch(pending, timeout=5) if pending else []
        return [json.loads(message.data) for message in messages]

    async def statuses(self) -> dict[str, str]:
        """By ticker."""
        rows = Market.objects.filter(feed=self.feed).values_list("ticker", "status")
        return dict(await asyncio.to_thread(lambda: list(rows)))

    async def ask(self, work: Any) -> Any:
        """The ORM, from a coroutine."""
        return await asyncio.to_thread(work)


@asynccontextmanager
async def scene_of(url: str, feed: Feed) -> AsyncIterator[Scene]:
    """The scene, its stream gone afterwards."""
    client = await nats.connect(url, connect_timeout=2)
    one = Scene(url, feed, client)
    await one.make_stream()
    yield one
    await one.js.delete_stream(one.stream)
    await client.close()


@pytest.fixture
def feed(transactional_db: None) -> Feed:
    """A feed of its own for each test: the bus is shared."""
    return Feed.objects.create(name=f"feed-{uuid4().hex[:8]}", feed_type="websocket", simulated=True)


@pytest.fixture
async def scene(nats_server: str, feed: Feed) -> AsyncIterator[Scene]:
    """A running bus with the feed's stream."""
    async with scene_of(nats_server, feed) as one:
        yield one


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A running server that the test may stop."""
    server = NatsServer(tmp_path)
    server.start()
    yield server
    server.stop()

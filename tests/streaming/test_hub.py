"""The hub against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
import nats
import pytest

from streaming.gateway.outbox import Outbox
from streaming.hub import Hub, Serving
from streaming.ordered_reader import OrderedReader
from tests.running import NatsServer, Publisher


class Client:
    """An outbox that can be waited for."""

    def __init__(self, hub: Hub) -> None:
        self.outbox = Outbox(lambda: None)
        hub.fanout.join(self.outbox)
        self.got: list[Any] = []

    async def until(self, holds: Callable[[list[Any]], object], *, seconds: float = 15) -> list[Any]:
        async with asyncio.timeout(seconds):
            while True:
                self.got += [json.loads(message.text) for message in iter(self.outbox.take, None)]
                if holds(self.got):
                    return self.got
                await asyncio.sleep(0.01)

    async def until_kinds(self, *kinds: str) -> list[Any]:
        """Wait for messages of just these types; they are handed over once."""
        await self.until(lambda got: len(got) >= len(kinds))
        found, self.got = self.got[: len(kinds)], self.got[len(kinds) :]
        assert [message["type"] for message in found] == list(kinds)
        return found


async def live(hub: Hub) -> None:
    async with asyncio.timeout(15):
        while hub.state != "live":
            await asyncio.sleep(0.01)


@pytest.fixture
async def hub(nats_server: str, publisher: Publisher) -> AsyncIterator[Hub]:
    feed = publisher.feed
    hub = Hub(Serving("test", feed, f"ssmd-{feed}", nats_server))
    hub.start()
    await live(hub)
    yield hub
    await hub.close()


async def test_trades_flow_with_the_streams_sequence(hub: Hub, publisher: Publisher, make: Any) -> None:
    client = Client(hub)
    hub.fanout.subscribe_trades(client.outbox, "A")

    await publisher.publish(make.trade("B", 1), make.trade("A", 2))

    [trade] = await client.until_kinds("trade")
    assert (trade["ticker"], trade["seq"]) == ("A", 2)


async def test_only_an_exchanges_messages_are_market_data(hub: Hub, publisher: Publisher, make: Any) -> None:
    client = Client(hub)

    await publisher.publish(make.gap())
    await client.until_kinds("gap")
    assert (hub.market_data_count, hub.last_market_data_at) == (0, None)

    hub.fanout.subscribe_trades(client.outbox, "A")
    await publisher.publish(make.trade("A", 2))
    await client.until_kinds("trade")
    assert (hub.market_data_count, hub.received["gap"]) == (1, 1)
    assert hub.last_market_data_at is not None


async def test_the_newest_trades_of_a_market_come_first_and_each_once(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    before = datetime(2023, 1, 1, tzinfo=UTC)  # the makers' receive times are of November 2023
    await publisher.publish(*(make.trade("AB"[n % 2], n) for n in range(1, 21)))
    again = msgspec.structs.replace(make.trade("A", 20), origin=make.origin(21))
    await publisher.publish(again)

    found = await hub.past_trades("A", since=before, limit=3)

    assert found is not None
    assert [(seq, trade.trade_id) for seq, trade in found] == [(21, "t20"), (18, "t18"), (16, "t16")]
    assert await hub.past_trades("C", since=before, limit=3) == []
    assert await hub.past_trades("A", since=datetime.now(UTC), limit=3) == []


async def test_a_book_starts_from_its_checkpoint_and_the_changes_after_it(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    await publisher.publish(
        make.snapshot("A", 1, bids={4400: 100}),
        make.snapshot("A", 1, bids={4400: 100}, checkpoint=True),
        make.delta("B", 2, 100, 100),
        make.delta("A", 3, 4300, 250),
    )
    client = Client(hub)

    hub.fanout.subscribe_book(client.outbox, "A")
    [book] = await client.until_kinds("orderbook")
    await publisher.publish(make.delta("A", 4, 4300, 0))
    [next_book] = await client.until_kinds("orderbook")

    assert (book["bids"], book["seq"]) == ([[0.44, 1], [0.43, 2.5]], 4)
    assert (next_book["bids"], next_book["seq"]) == ([[0.44, 1]], 5)


async def test_a_book_subscribed_in_the_middle_of_a_burst_is_exact(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    await publisher.publish(make.snapshot("A", 1, bids={100: 100}, checkpoint=True))
    client = Client(hub)

    async def burst() -> None:
        for n in range(2, 402):
            await publisher.publish(make.delta("A", n, 100 * (n % 7 + 1), n))

    busy = asyncio.create_task(burst())
    await asyncio.sleep(0.03)
    hub.fanout.subscribe_book(client.outbox, "A")
    await busy

    got = await client.until(lambda got: got and got[-1]["seq"] == 401)
    last = {price: n for n in range(2, 402) for price in [100 * (n % 7 + 1)]}
    assert got[-1]["bids"] == [[price / 10_000, last[price] / 100] for price in sorted(last, reverse=True)]


async def test_a_book_without_a_checkpoint_is_said_to_be_unknown_and_follows_when_it_comes(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    client = Client(hub)

    hub.fanout.subscribe_book(client.outbox, "A")
    [state] = await client.until_kinds("book_state")
    await publisher.publish(make.snapshot("A", 1, bids={4400: 100}))
    [book] = await client.until_kinds("orderbook")

    assert (state["state"], book["bids"]) == ("unknown", [[0.44, 1]])


async def test_a_gap_between_checkpoint_and_now_leaves_the_book_unknown(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    await publisher.publish(make.snapshot("A", 1, bids={4400: 100}, checkpoint=True), make.gap("A"))
    client = Client(hub)

    hub.fanout.subscribe_book(client.outbox, "A")
    [told] = await client.until_kinds("book_state")

    assert told["state"] == "unknown"


async def test_a_market_of_before_the_process_began_is_known_to_the_stream(
    hub: Hub, publisher: Publisher, make: Any
) -> None:
    await publisher.publish(make.trade("A-T72999.99", 1))

    assert await hub.holds("A-T72999.99")
    assert not await hub.holds("A")


@pytest.mark.slow
async def test_while_the_bus_is_away_clients_are_told_and_get_all_that_was_missed(
    own_nats_server: NatsServer, make: Any
) -> None:
    publisher = await Publisher.open(own_nats_server.url, feed="feed", stream="ssmd-feed")
    hub = Hub(Serving("test", "feed", "ssmd-feed", own_nats_server.url))
    hub.start()
    await live(hub)
    client = Client(hub)
    hub.fanout.subscribe_trades(client.outbox, "*")
    await publisher.publish(make.trade("A", 1))

    own_nats_server.stop()
    await client.until(lambda got: got[-1:] and got[-1].get("state") == "stale")
    own_nats_server.start()
    again = await Publisher.open(own_nats_server.url, feed="feed", stream="ssmd-feed")
    await again.publish(make.trade("A", 2), make.trade("A", 3))
    got = await client.until(
        lambda got: [message["seq"] for message in got if message["type"] == "trade"] == [1, 2, 3]
    )

    assert [message["state"] for message in got if message["type"] == "status"] == ["stale", "live"]
    await hub.close()
    await publisher.close()
    await again.close()


async def test_a_hub_whose_stream_does_not_exist_yet_waits_for_it(nats_server: str, make: Any) -> None:
    feed = f"feed-{uuid4().hex[:8]}"
    hub = Hub(Serving("test", feed, f"ssmd-{feed}", nats_server))
    hub.start()
    await asyncio.sleep(0.2)
    assert hub.state == "stale"

    publisher = await Publisher.open(nats_server, feed=feed, stream=f"ssmd-{feed}")

    await live(hub)
    await hub.close()
    await publisher.close()


async def test_the_reader_goes_on_where_it_stood_when_its_consumer_is_deleted(
    nats_server: str, publisher: Publisher, make: Any
) -> None:
    nc = await nats.connect(nats_server)
    stream, seen = f"ssmd-{publisher.feed}", list[int]()
    reader = OrderedReader(
        nc,
        stream,
        on_message=lambda subject, seq, payload: seen.append(seq),
        on_ready=lambda position: None,
        on_hole=lambda first, last: seen.append(-1),
        on_new_numbering=lambda: seen.append(-2),
        on_trouble=lambda why: None,
    )
    reading = asyncio.create_task(reader.run())
    async with asyncio.timeout(10):
        while not await nc.jetstream().consumers_info(stream):
            await asyncio.sleep(0.02)
        await publisher.publish(make.trade("A", 1))
        for consumer in await nc.jetstream().consumers_info(stream):
            await nc.jetstream().delete_consumer(stream, consumer.name)
        await publisher.publish(make.trade("A", 2), make.trade("A", 3))
        reader.restart("the test deleted it")
        while seen[-1:] != [3]:
            await asyncio.sleep(0.02)

    assert seen == [1, 2, 3]
    reading.cancel()
    await nc.close()


async def test_messages_that_are_gone_are_named(nats_server: str, publisher: Publisher, make: Any) -> None:
    nc = await nats.connect(nats_server)
    stream, holes = f"ssmd-{publisher.feed}", list[tuple[int, int]]()
    await publisher.publish(*(make.trade("A", n) for n in range(1, 6)))
    reader = OrderedReader(
        nc,
        stream,
        on_message=lambda subject, seq, payload: None,
        on_ready=lambda position: None,
        on_hole=lambda first, last: holes.append((first, last)),
        on_new_numbering=lambda: None,
        on_trouble=lambda why: None,
    )
    reader.resume_after(seq=1, epoch=(await nc.jetstream().stream_info(stream)).created)
    await nc.jetstream().purge_stream(stream, seq=4)
    reading = asyncio.create_task(reader.run())
    async with asyncio.timeout(10):
        while reader.last_seq != 5:
            await asyncio.sleep(0.02)

    assert holes == [(2, 3)]
    reading.cancel()
    await nc.close()


async def test_a_message_taken_out_before_its_turn_is_named(
    nats_server: str, publisher: Publisher, make: Any
) -> None:
    nc = await nats.connect(nats_server)
    stream, holes = f"ssmd-{publisher.feed}", list[tuple[int, int]]()
    await publisher.publish(*(make.trade("A", n) for n in range(1, 6)))
    reader = OrderedReader(
        nc,
        stream,
        on_message=lambda subject, seq, payload: None,
        on_ready=lambda position: None,
        on_hole=lambda first, last: holes.append((first, last)),
        on_new_numbering=lambda: None,
        on_trouble=lambda why: None,
    )
    reader.resume_after(seq=1, epoch=(await nc.jetstream().stream_info(stream)).created)
    await nc.jetstream().delete_msg(stream, 3)
    reading = asyncio.create_task(reader.run())
    async with asyncio.timeout(10):
        while reader.last_seq != 5:
            await asyncio.sleep(0.02)

    assert holes == [(3, 3)]
    reading.cancel()
    await nc.close()

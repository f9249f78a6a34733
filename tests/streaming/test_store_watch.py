import asyncio
import shutil
from pathlib import Path

import nats
import pytest

from streaming import transport
from streaming.anchors import Hole
from streaming.outbox import Outbox
from streaming.store_watch import StoreWatch
from streaming.transport import StreamSpec
from tests.running import NatsServer

SPEC = StreamSpec("ssmd-watched", "watched", max_bytes=64 * 1024**2)


class Watched:
    """An outbox whose acknowledged messages are watched; record n is received at n ns."""

    def __init__(self, client: nats.NATS, spec: StreamSpec = SPEC) -> None:
        self.client, self.spec = client, spec
        self.watch = StoreWatch(spec.name)
        self.outbox = Outbox(client, on_stored=self.watch.stored)
        self.n = 0

    async def open(self) -> None:
        await transport.ensure_stream(self.client, self.spec)
        await self.outbox.open()
        assert await self.watch.look(self.client) is None

    async def publish(self, count: int) -> None:
        for _ in range(count):
            self.n += 1
            identity = f"s.{self.n}.0"
            await self.outbox.publish(
                f"{self.spec.feed}.trade.A", b"x", identity=identity, n=self.n, received_ns=self.n
            )
        async with asyncio.timeout(10):
            while self.outbox.waiting:
                await asyncio.sleep(0.01)
                await self.outbox.repeat_overdue()

    async def look(self) -> Hole | None:
        return await self.watch.look(self.client)


@pytest.fixture
async def watched(own_nats_server: NatsServer) -> Watched:
    found = Watched(await transport.connect(own_nats_server.url, name="test"))
    await found.open()
    return found


async def restarted(server: NatsServer, client: nats.NATS, *, restore: Path | None, store: Path) -> None:
    """Stop the server, put an older store in the place of its own, start it."""
    server.stop()
    if restore is not None:
        shutil.rmtree(store)
        shutil.copytree(restore, store)
    await asyncio.to_thread(server.start)
    async with asyncio.timeout(15):
        while not client.is_connected:
            await asyncio.sleep(0.05)


async def test_a_bus_that_holds_what_it_acknowledged_is_not_complained_of(watched: Watched) -> None:
    await watched.publish(50)

    assert await watched.look() is None
    await watched.publish(50)
    assert await watched.look() is None


async def test_a_server_that_is_killed_and_comes_back_whole_lost_nothing(
    watched: Watched, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    await watched.publish(50)

    await restarted(own_nats_server, watched.client, restore=None, store=tmp_path / "jetstream")

    assert await watched.look() is None


async def rolled_back(watched: Watched, server: NatsServer, tmp_path: Path) -> None:
    """Records 1 to 30 are in the store that comes back, 31 to 80 are not."""
    await watched.publish(30)
    server.stop()
    shutil.copytree(tmp_path / "jetstream", tmp_path / "older")
    await restarted(server, watched.client, restore=None, store=tmp_path / "jetstream")
    await watched.publish(50)
    await restarted(server, watched.client, restore=tmp_path / "older", store=tmp_path / "jetstream")


async def test_a_restored_store_lost_just_what_came_after_the_copy(
    watched: Watched, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    await rolled_back(watched, own_nats_server, tmp_path)

    assert await watched.look() == Hole(31, 80, 31, 80, "rolled back")
    assert await watched.look() is None


async def test_a_restored_store_that_has_grown_past_the_loss_is_found_out(
    watched: Watched, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    await rolled_back(watched, own_nats_server, tmp_path)
    other = await transport.connect(own_nats_server.url, name="other")
    for _ in range(60):
        await other.jetstream().publish("watched.secmaster.changed", b"")
    await other.close()

    assert await watched.look() == Hole(31, 80, 31, 80, "rolled back")
    await watched.publish(10)
    assert await watched.look() is None


async def test_an_ack_with_a_sequence_given_before_is_suspicious(
    watched: Watched, own_nats_server: NatsServer, tmp_path: Path
) -> None:
    await rolled_back(watched, own_nats_server, tmp_path)

    await watched.publish(5)

    assert watched.watch.is_suspicious
    assert await watched.look() == Hole(31, 80, 31, 80, "rolled back")
    assert not watched.watch.is_suspicious


async def test_a_purge_takes_everything_before_it(watched: Watched) -> None:
    await watched.publish(40)

    await watched.client.jetstream().purge_stream(SPEC.name)

    assert await watched.look() == Hole(1, 40, 1, 40, "purged")
    await watched.publish(5)
    assert await watched.look() is None


async def test_a_purge_up_to_a_sequence_is_told_exactly(watched: Watched) -> None:
    await watched.publish(40)

    await watched.client.jetstream().purge_stream(SPEC.name, seq=21)

    assert await watched.look() == Hole(1, 20, 1, 20, "purged")


async def test_single_deleted_messages_are_told(watched: Watched) -> None:
    await watched.publish(40)

    await watched.client.jetstream().delete_msg(SPEC.name, 11)
    await watched.client.jetstream().delete_msg(SPEC.name, 13)

    assert await watched.look() == Hole(11, 13, 11, 13, "purged")
    assert await watched.look() is None


async def test_a_deleted_stream_is_missing_and_made_again_holds_the_new_only(watched: Watched) -> None:
    await watched.publish(40)

    await watched.client.jetstream().delete_stream(SPEC.name)

    assert await watched.look() == Hole(1, 40, 1, 40, "deleted")
    assert watched.watch.is_missing
    await transport.ensure_stream(watched.client, SPEC)
    await watched.publish(5)
    assert await watched.look() is None
    assert not watched.watch.is_missing


async def test_a_stream_made_anew_behind_our_back_is_another_one(watched: Watched) -> None:
    await watched.publish(40)

    await watched.client.jetstream().delete_stream(SPEC.name)
    await transport.ensure_stream(watched.client, SPEC)
    await watched.publish(3)

    assert watched.watch.is_suspicious
    assert await watched.look() == Hole(1, 40, 1, 40, "recreated")
    assert await watched.look() is None


async def test_what_makes_room_for_newer_messages_is_no_hole(own_nats_server: NatsServer) -> None:
    small = StreamSpec("ssmd-small", "small", max_bytes=200_000)
    watched = Watched(await transport.connect(own_nats_server.url, name="test"), small)
    await watched.open()

    for _ in range(8):
        await watched.publish(500)
        assert await watched.look() is None

    state = (await watched.client.jetstream().stream_info("ssmd-small")).state
    assert state.first_seq > 1


async def test_how_full_the_stream_is_can_be_seen(watched: Watched) -> None:
    await watched.publish(100)

    await watched.look()

    assert 0 < watched.watch.fill < 0.01

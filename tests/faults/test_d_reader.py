"""D: the gateway's reader of a bus whose store was restored while it was away."""

import asyncio
import shutil
from pathlib import Path

import pytest

from streaming.hub import Hub, Serving
from streaming.ordered_reader import OrderedReader, Position
from tests.faults.proof import Outcome, fault, prove, watched
from tests.running import NatsServer, Publisher
from tests.streaming.conftest import Make

FEED, STREAM = "reader", "ssmd-reader"


async def _never(reader: OrderedReader, position: Position) -> bool:
    """A reader that trusts its sequence for ever."""
    return False


@fault("D2")
@pytest.mark.slow
def test_a_reader_whose_position_means_other_messages_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched:
            if not is_handled:
                patched.setattr(OrderedReader, "_is_renumbered", _never)
            return asyncio.run(_live(tmp_path / str(is_handled)))

    prove(scenario, gaps=(), metric=f'ssmd_gateway_stream_holes_total{{feed="{FEED}"}}')


async def _live(home: Path) -> Outcome:
    home.mkdir()
    server = NatsServer(home)
    server.start()
    hub = Hub(Serving("test", FEED, STREAM, server.url))
    await _publish(server, 1, 10)
    hub.start()
    with watched() as risen:
        await _until_live(hub)
        await _publish(server, 11, 15)
        await _until_read(hub, 15)
        server.stop()
        shutil.copytree(home / "jetstream", home / "older")
        server.start()
        await _publish(server, 16, 20)
        await _until_read(hub, 20)
        server.stop()
        await _restored_and_grown(server, home)
        await _until_read(hub, 40)
    await hub.close()
    server.stop()
    return Outcome(metrics=dict(risen))


async def _publish(server: NatsServer, first: int, last: int) -> None:
    publisher = await Publisher.open(server.url, feed=FEED, stream=STREAM)
    for n in range(first, last + 1):
        await publisher.publish(Make.trade("A", n))
    await publisher.close()


async def _restored_and_grown(server: NatsServer, home: Path) -> None:
    """The copy held 15 messages; before the reader is back it holds 40, of which 16 to 20 are not those it read."""
    shutil.rmtree(home / "jetstream")
    shutil.copytree(home / "older", home / "jetstream")
    elsewhere = NatsServer(home)
    await asyncio.to_thread(elsewhere.start)
    await _publish(elsewhere, 101, 125)
    await asyncio.to_thread(elsewhere.stop)
    await asyncio.to_thread(server.start)


async def _until_live(hub: Hub) -> None:
    async with asyncio.timeout(10):
        while hub.state != "live":
            await asyncio.sleep(0.02)


async def _until_read(hub: Hub, seq: int) -> None:
    async with asyncio.timeout(20):
        while hub.seq < seq:
            await asyncio.sleep(0.02)

"""D: what the archiver makes of a bus whose messages, consumers or acknowledgements are not what they were."""

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import AckPolicy, ConsumerConfig

from archive import archiver, pull
from archive.normalized_part import EventsBuilder
from archive.pull import Puller
from archive.store import DirectoryStore
from streaming.events import Event
from tests.archive.bus import STREAM, archive_all, archiving, bus, trades
from tests.faults.archiving import FullDisk, lived_through, reaches
from tests.faults.lossy_bus import HardNats
from tests.faults.proof import fault, prove, samples

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
RESTARTS = 'ssmd_archiver_reader_restarts_total{feed="kalshi-sim"}'
GONE = 'ssmd_archiver_stream_hole_messages_total{feed="kalshi-sim"}'
Found = tuple[Sequence[Event], Sequence[str]]


def unstated(patch: pytest.MonkeyPatch) -> None:
    """Take away that a hole is stated."""
    patch.setattr(EventsBuilder, "skip_to", lambda self, seq: None)


@fault("D5")
def test_a_single_damaged_message_of_the_bus_is_a_stated_hole(
    hard_nats: HardNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server counts it as there and does not deliver it."""
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(hard_nats.url) as one:
            await one.publish(published)
        await asyncio.to_thread(hard_nats.stop)
        block = max(hard_nats.folder.rglob("*.blk"), key=lambda path: path.stat().st_size)
        block.write_bytes(block.read_bytes().replace(b"t17\0", b"t71\0", 1))
        await asyncio.to_thread(hard_nats.start)
        with monkeypatch.context() as patch:
            if not is_handled:
                unstated(patch)
            await archive_all(hard_nats.url, store)
        return published, ()

    prove(lived_through(life, tmp_path), gaps=("stream_hole",), metric=GONE)


@fault("D7")
@pytest.mark.slow
def test_a_consumer_that_is_deleted_is_made_anew_where_it_stood(
    hard_nats: HardNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 60)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(hard_nats.url) as one:
            await one.publish(published[:20])
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(Puller, "_control", lambda self, headers, made_progress: None)
                    patch.setattr(pull, "_SILENT_BEATS", 1_000)
                    patch.setattr(archiver, "DRAIN_SECONDS", 0.5)
                async with archiving(hard_nats.url, store) as running:
                    await reaches(lambda: running.taken == 20)
                    for consumer in await one.js.consumers_info(STREAM):
                        await one.js.delete_consumer(STREAM, consumer.name)
                    await one.publish(published[20:])
                    await reaches(lambda: running.taken == 60, seconds=1)
        return published, ()

    prove(lived_through(life, tmp_path), gaps=(), metric=RESTARTS)


@fault("D8")
@pytest.mark.slow
def test_acknowledgements_by_somebody_else_move_nothing(
    hard_nats: HardNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the archiver stands is in its own manifests: no consumer's floor is asked."""
    published = trades(1, 40)
    durable = ConsumerConfig(durable_name="archiver", ack_policy=AckPolicy.EXPLICIT)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(hard_nats.url) as one:
            await one.publish(published[:10])
            await archive_all(hard_nats.url, store)
            await one.publish(published[10:])
            by_hand = await one.js.pull_subscribe("", durable="archiver", stream=STREAM, config=durable)
            for message in await by_hand.fetch(40):
                await message.ack_sync()
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(pull, "ConsumerConfig", lambda **options: dataclasses.replace(durable))
                    patch.setattr(archiver, "DRAIN_SECONDS", 0.5)
                await archive_all(hard_nats.url, store)
        return published, ()

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=40)


@fault("D10")
@pytest.mark.slow
def test_messages_that_grew_too_old_for_the_bus_are_a_stated_hole(
    hard_nats: HardNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(hard_nats.url) as one:
            await one.publish(published[:10])
            await archive_all(hard_nats.url, store)
            await one.publish(published[10:20])
            config = (await one.js.stream_info(STREAM)).config
            await one.js.update_stream(dataclasses.replace(config, max_age=0.5, duplicate_window=0.2))
            while (await one.js.stream_info(STREAM)).state.messages:
                await asyncio.sleep(0.05)
            await one.js.update_stream(config)
            await one.publish(published[20:])
            with monkeypatch.context() as patch:
                if not is_handled:
                    unstated(patch)
                await archive_all(hard_nats.url, store)
        return published, ()

    prove(lived_through(life, tmp_path), gaps=("stream_hole",), metric=GONE, at_least=10)


@fault("D10")
@pytest.mark.slow
def test_an_archiver_that_lags_so_far_that_messages_will_be_lost_is_seen_before(
    hard_nats: HardNats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is full for most of the bus's retention: the ratio passes 0.8 while there is still something to save."""
    published = trades(1, 20)
    seen = 'ssmd_archiver_retention_used_ratio{feed="kalshi-sim"}'

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        full, options = FullDisk(store), dict[str, Any](part_seconds=0.1, retention_seconds=0.4)
        full.has_room.set()
        async with bus(hard_nats.url) as one:
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(archiver.Archiver, "_lag_seconds", lambda self: 0.0)
                async with archiving(hard_nats.url, full, **options):
                    full.has_room.clear()
                    await one.publish(published)
                    is_seen = await reaches(lambda: samples()[seen] > 0.8, seconds=1)
                    full.has_room.set()
        return published, [] if is_seen else ["it is not seen"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=20)

"""The archiver's faults (group E) that lie in the bus: slow, lossy, late, behind, forgetful."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from nats.js.api import AckPolicy

from archive import archiver, pull
from archive.normalized_part import EventsBuilder
from archive.pull import Puller
from archive.store import DirectoryStore
from streaming.events import Event
from tests.archive.bus import (
    STREAM,
    archive_all,
    archiving,
    bus,
    config,
    keys_of,
    manifests_of,
    trades,
)
from tests.faults.archiving import SlowDisk, lived_through, reaches
from tests.faults.proof import fault, prove, samples
from tests.running import NatsServer

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
Found = tuple[Sequence[Event], Sequence[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


@fault("E4", "E13")
@pytest.mark.slow
def test_a_slow_store_has_nothing_sent_again_and_many_without_ack_do_not_stop_the_stream(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 3_000)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:  # the server's own limits of such a consumer: 1,000 messages, 30 s
                    patch.setattr(pull, "ACKS", AckPolicy.EXPLICIT)
                async with archiving(server, SlowDisk(store), part_bytes=100_000) as running:
                    await reaches(lambda: running.taken >= 3_000, seconds=4)
        rows = sum(part.rows for part in manifests_of(store))
        return published, [] if rows == 3_000 else [f"{rows} rows were written"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=3_000)


@fault("E5")
def test_deliveries_that_were_lost_on_the_way_are_read_again(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 60)
    wait = Puller._wait

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        lost: list[object] = []

        async def lossy(self: Puller, within: float) -> object:
            found = await wait(self, within)
            if len(found) > 4 and not lost:
                lost.append(found.pop(2))
            return found

        def count_any(self: Puller, number: int) -> None:
            self._next_delivery = number + 1

        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                patch.setattr(Puller, "_wait", lossy)
                if not is_handled:
                    patch.setattr(Puller, "_count_delivery", count_any)
                async with archiving(server, store) as running:
                    await reaches(lambda: running.taken == 60)
        return published, [] if lost else ["nothing was lost"]

    prove(
        lived_through(life, tmp_path),
        gaps=(),
        metric='ssmd_archiver_reader_restarts_total{feed="kalshi-sim"}',
    )


@fault("E19")
def test_an_archiver_that_comes_before_its_stream_waits_for_it(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 5)
    healthy = 'ssmd_archiver_healthy{feed="kalshi-sim"}'

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        also = []
        async with bus(server, with_stream=False) as one:
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(archiver, "NotFoundError", KeyError)
                    patch.setattr(archiver, "_BUS_TROUBLE", ())
                stop = asyncio.Event()
                running = archiver.Archiver(config(server, store))
                work = asyncio.create_task(running.work(stop))
                await asyncio.sleep(0.3)
                if samples()[healthy] != 0 or work.done():
                    also.append("it does not wait")
                await one.make_stream()
                await one.publish(published)
                await reaches(lambda: running.taken == 5 or work.done(), seconds=4)
                if samples()[healthy] != 1:
                    also.append("it is not healthy with a stream")
                stop.set()
                await work
        return published, also

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=5)


@fault("E12")
@pytest.mark.slow
def test_a_backlog_is_read_in_parts_of_bounded_size(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 10_000)
    limit = 400_000

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsBuilder, "is_full", property(lambda self: False))
                async with archiving(server, store, part_bytes=limit) as running:
                    await reaches(lambda: running.taken == 10_000)
        largest = max(sum(file.raw_bytes for file in part.files) for part in manifests_of(store))
        return published, [] if largest < limit + 1_000 else [f"a part holds {largest} bytes"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=10_000)


@fault("D4")
def test_messages_that_the_bus_threw_away_are_a_stated_hole(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published[:10])
            await archive_all(server, store)
            await one.publish(published[10:])
            await one.js.purge_stream(STREAM, seq=21)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsBuilder, "skip_to", lambda self, seq: None)
                await archive_all(server, store)
        return published, [] if len(keys_of(store)) == 2 else ["not two parts"]

    metric = 'ssmd_archiver_stream_hole_messages_total{feed="kalshi-sim"}'
    prove(lived_through(life, tmp_path), gaps=("stream_hole",), metric=metric, at_least=10)

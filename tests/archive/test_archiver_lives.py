import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.archiver import Archiver
from archive.normalized_manifest import EventsManifest
from archive.normalized_stand import Stand
from archive.store import DirectoryStore
from tests.archive.bus import (
    STREAM,
    archive_all,
    archiving,
    bus,
    config,
    events_of,
    manifests_of,
    numbers,
    trades,
)
from tests.running import NatsServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "normalized")


async def test_a_stream_that_is_made_anew_is_archived_from_its_first_message(
    server: str, store: DirectoryStore
) -> None:
    async with bus(server) as one, archiving(server, store, part_seconds=0.1):
        await one.publish(trades(1, 10))
        await _until(lambda: numbers(events_of(store)) == list(range(1, 11)))
        await one.js.delete_stream(STREAM)
        await one.make_stream()
        await one.publish(trades(11, 13))
        await _until(lambda: numbers(events_of(store)) == list(range(1, 14)))

    assert len({part.epoch for part in manifests_of(store)}) == 2


async def test_messages_that_were_gone_before_they_were_read_are_a_hole(
    server: str, store: DirectoryStore
) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 10))
        await archive_all(server, store)
        await one.publish(trades(11, 20))
        await one.js.purge_stream(STREAM, seq=16)
        await archive_all(server, store)

    [_, part] = manifests_of(store)
    assert (part.first_seq, part.last_seq, part.holes) == (11, 20, [(11, 15)])
    assert numbers(events_of(store)) == [*range(1, 11), *range(16, 21)]


async def test_a_hole_with_nothing_behind_it_is_stated_once(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 10))
        await archive_all(server, store)
        await one.publish(trades(11, 20))
        await one.js.purge_stream(STREAM)
        await archive_all(server, store)
        await archive_all(server, store)

    assert [part.holes for part in _by_seq(store)] == [[], [(11, 20)]]


async def test_a_message_deleted_in_the_middle_is_a_hole(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 10))
        await one.js.delete_msg(STREAM, 4)
        await archive_all(server, store)

    assert [part.holes for part in manifests_of(store)] == [[(4, 4)]]


async def test_a_server_that_ends_and_comes_back_is_read_on(tmp_path: Path, store: DirectoryStore) -> None:
    server = NatsServer(_folder(tmp_path / "nats"))
    server.start()
    async with bus(server.url) as one, archiving(server.url, store, part_seconds=0.1):
        await one.publish(trades(1, 10))
        await _until(lambda: numbers(events_of(store)) == list(range(1, 11)))
        server.stop()
        server.start()
        async with bus(server.url, is_kept=True) as again:
            await again.publish(trades(11, 20))
            await _until(lambda: numbers(events_of(store)) == list(range(1, 21)))
    server.stop()

    assert len({part.epoch for part in manifests_of(store)}) == 1


async def test_a_consumer_that_somebody_deletes_is_made_anew(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one, archiving(server, store, part_seconds=0.1):
        await one.publish(trades(1, 10))
        await _until(lambda: numbers(events_of(store)) == list(range(1, 11)))
        for consumer in await one.js.consumers_info(STREAM):
            await one.js.delete_consumer(STREAM, consumer.name)
        await one.publish(trades(11, 20))
        await _until(lambda: numbers(events_of(store)) == list(range(1, 21)))

    assert sum(part.rows for part in manifests_of(store)) == 20


async def test_an_archiver_that_was_away_too_long_asks_the_others_before_it_calls_messages_lost(
    server: str, store: DirectoryStore
) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 10))
        await archive_all(server, store)  # the other one
        await one.js.purge_stream(STREAM)
        away = Archiver(config(server, store))
        away._builder.begin(_stand_at_three(store))

        await away._take_up(one.client)

    assert away.taken == 10


def _stand_at_three(store: DirectoryStore) -> Stand:
    return Stand(manifests_of(store)[0].epoch, 3)


async def test_a_store_put_back_from_an_older_copy_begins_a_new_life(
    tmp_path: Path, store: DirectoryStore
) -> None:
    server = NatsServer(_folder(tmp_path / "nats"))
    server.start()
    async with bus(server.url) as one:
        await one.publish(trades(1, 10))
    server.stop()
    shutil.copytree(tmp_path / "nats", tmp_path / "copy")
    server.start()
    async with bus(server.url, is_kept=True) as one:
        await one.publish(trades(11, 20))
        await archive_all(server.url, store)
    server.stop()
    older = NatsServer(tmp_path / "copy")
    older.start()
    async with bus(older.url, is_kept=True) as one:
        await one.publish(
            trades(31, 50)
        )  # the stream reaches further than the archive: only the messages differ
        await archive_all(older.url, store)
    older.stop()

    assert numbers(events_of(store)) == [*range(1, 21), *range(31, 51)]
    lives = [part.epoch for part in manifests_of(store)]
    assert [life.partition("-")[2] for life in lives] == ["", "2"]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _by_seq(store: DirectoryStore) -> list[EventsManifest]:
    return sorted(manifests_of(store), key=lambda part: (part.first_seq, part.date))


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)

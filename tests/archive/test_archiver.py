import asyncio
import base64
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from archive import pull
from archive.normalized_manifest import EventsManifest
from archive.store import DirectoryStore
from streaming.events import GapNotice
from tests.archive.bus import (
    DAY_NS,
    NOON,
    SESSION,
    STREAM,
    TODAY,
    archive_all,
    archiving,
    bus,
    events_of,
    manifests_of,
    numbers,
    quarantined,
    trade,
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


def notice(number: int, *, ended: bool) -> GapNotice:
    return GapNotice(
        cause="sequence_gap", session=SESSION, number=number, connection=1,
        from_ns=NOON + number, to_ns=NOON + number + 5 if ended else None, tickers=("KXBTC-1.5",),
    )  # fmt: skip


async def test_what_is_on_the_bus_is_archived_as_it_came(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish([*trades(1, 100), notice(101, ended=False), notice(101, ended=True)])
        await archive_all(server, store)

    assert events_of(store) == [notice(101, ended=False), notice(101, ended=True), *trades(1, 100)]


async def test_a_part_states_its_range_its_sessions_and_its_files(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish(trades(3, 12))
        await archive_all(server, store)

    [part] = manifests_of(store)
    assert (part.first_seq, part.last_seq, part.position, part.rows) == (1, 10, 10, 10)
    assert part.sessions == {SESSION: (3, 12, 10)}
    assert [file.token for file in part.files] == ["trade"]
    assert (part.first_recv_ns, part.last_recv_ns) == (NOON + 3_000_000, NOON + 12_000_000)
    assert part.anchor.id == f"{SESSION}.12.0"


async def test_the_next_archiver_goes_on_after_the_last_part(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 10))
        await archive_all(server, store)
        await one.publish(trades(11, 15))
        await archive_all(server, store)
        await archive_all(server, store)

    assert [(part.first_seq, part.last_seq) for part in manifests_of(store)] == [(1, 10), (11, 15)]
    assert numbers(events_of(store)) == list(range(1, 16))


async def test_a_part_is_written_while_nothing_more_comes(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one, archiving(server, store, part_seconds=0.1):
        await one.publish(trades(1, 5))
        await _until(lambda: len(manifests_of(store)) > 0)

        assert sum(part.rows for part in manifests_of(store)) > 0


async def test_a_full_part_is_written_at_once(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one, archiving(server, store, part_bytes=5_000):
        await one.publish(trades(1, 100))
        await _until(lambda: len(manifests_of(store)) > 3)


async def test_a_batch_over_midnight_is_two_parts_of_which_only_the_last_states_its_end(
    server: str, store: DirectoryStore
) -> None:
    midnight = NOON + DAY_NS // 2
    late = [
        trade(7, received_ns=midnight + 7),
        trade(8, received_ns=midnight - 8),
        trade(9, received_ns=midnight + 9),
    ]
    async with bus(server) as one:
        await one.publish([trade(5, received_ns=midnight - 5), *late])
        await archive_all(server, store)

    assert [
        (part.date, part.first_seq, part.last_seq, part.position, part.rows) for part in _by_seq(store)
    ] == [
        (TODAY, 1, 1, 1, 1),
        (TODAY, 2, 4, 1, 1),
        (date(2025, 12, 15), 2, 4, 4, 2),
    ]
    assert numbers(events_of(store)) == [8, 5]
    assert numbers(events_of(store, TODAY + timedelta(days=1))) == [7, 9]


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


async def test_messages_larger_than_a_whole_request_are_read(
    server: str, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "BATCH_BYTES", 100)
    async with bus(server) as one:
        await one.publish(trades(1, 20))
        await archive_all(server, store)

    assert numbers(events_of(store)) == list(range(1, 21))


async def test_what_cannot_be_read_is_kept_in_quarantine_and_holds_up_nothing(
    server: str, store: DirectoryStore
) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 2))
        await one.js.publish("kalshi-sim.trade.X", b"x" * 900_000)
        await one.js.publish("kalshi-sim.orderbook.X", b"no message")
        await one.publish(trades(3, 4))
        await archive_all(server, store)

    assert numbers(events_of(store)) == [1, 2, 3, 4]
    held = [msgspec.json.decode(line) for line in quarantined(store)]
    assert [(one["seq"], one["subject"], len(base64.b64decode(one["b64"]))) for one in held] == [
        (3, "kalshi-sim.trade.X", 900_000),
        (4, "kalshi-sim.orderbook.X", 10),
    ]


async def test_changes_of_markets_are_no_market_data(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.js.publish("kalshi-sim.secmaster.created", b"{}")
        await archive_all(server, store)
        await one.publish(trades(1, 1))
        await archive_all(server, store)

    assert [(part.first_seq, part.rows) for part in _by_seq(store)] == [(1, 0), (2, 1)]


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

import asyncio
import base64
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from archive import pull
from archive.normalized_manifest import EventsManifest
from archive.store import DirectoryStore
from registry.refusal import Refused
from streaming.events import GapNotice
from tests.archive.bus import (
    DAY_NS,
    NOON,
    SESSION,
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


async def test_a_feed_of_another_environment_is_refused(server: str, store: DirectoryStore) -> None:
    async with bus(server):
        await archive_all(server, store)
        with pytest.raises(Refused, match="belongs to environment 'demo'"):
            await archive_all(server, store, environment="other")


def _by_seq(store: DirectoryStore) -> list[EventsManifest]:
    return sorted(manifests_of(store), key=lambda part: (part.first_seq, part.date))


async def _until(holds: object) -> None:
    assert callable(holds)
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)

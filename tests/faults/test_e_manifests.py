"""The archiver's faults (group E) in what it goes on from: its own manifests."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive import normalized_manifest as manifests
from archive.files import Damaged
from archive.normalized_commit import EventsCommitter
from archive.normalized_manifest import Anchor, EventsManifest
from archive.normalized_stand import epoch_of
from archive.store import DirectoryStore
from streaming.events import Event
from tests.archive.bus import (
    ENVIRONMENT,
    FEED,
    STREAM,
    archive_all,
    bus,
    events_of,
    manifests_of,
    trades,
)
from tests.faults.archiving import OtherStore, lived_through
from tests.faults.proof import fault, prove
from tests.running import NatsServer

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
Found = tuple[Sequence[Event], Sequence[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


def _manifest_paths(store: DirectoryStore) -> list[Path]:
    return [path for path in store.root.rglob("*.json") if path.name != "_owner.json"]


@fault("E20")
def test_an_unreadable_manifest_is_named_and_archiving_goes_on(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        also = []
        async with bus(server) as one:
            for first in (1, 11):
                await one.publish(published[first - 1 : first + 9])
                await archive_all(server, store)
            spoilt = max(_manifest_paths(store))
            spoilt.write_bytes(b'{"format":1')
            if not is_handled:  # it is passed over as if it were another's file
                monkeypatch.setattr(EventsCommitter, "_stand_of", _stand_or_raise)
            await archive_all(server, store)  # the same range again: something else lies in its place
            await one.publish(published[20:])
            await archive_all(server, store)
            try:
                events_of(store)
                also.append("the reader does not name it")
            except Damaged as error:
                also += [] if spoilt.name in str(error) else [str(error)]
            spoilt.unlink()
        return published, also

    metric = 'ssmd_archiver_damaged_manifests_total{feed="kalshi-sim"}'
    prove(lived_through(life, tmp_path), gaps=(), metric=metric)


def _stand_or_raise(self: EventsCommitter, key: object) -> None:
    raise Damaged("it ends here")


def _manifest(number: int, *, epoch: str) -> EventsManifest:
    return EventsManifest(
        feed=FEED, environment=ENVIRONMENT, schema="v2", stream=STREAM, epoch=epoch,
        date=datetime.now(UTC).date(), first_seq=number, last_seq=number, position=number, anchor=Anchor(),
        rows=0, files=[], quarantine=None, first_recv_ns=0, last_recv_ns=0, sessions={}, holes=[],
        archiver_version="0.1.0",
    )  # fmt: skip


@fault("E21")
@pytest.mark.slow
def test_among_thousands_of_manifests_the_start_reads_one(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 10)
    manifests_there = 2_000

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            epoch = epoch_of((await one.js.stream_info(STREAM)).created)
            for number in range(1, manifests_there + 1):
                _place(store, _manifest(number, epoch=epoch))
            for _ in range(4):  # of nobody's concern: what is archived already
                await asyncio.gather(*(one.js.publish("kalshi-sim.secmaster.x", b"") for _ in range(500)))
            await one.publish(published)
            counting = OtherStore(store)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsCommitter, "_furthest", _read_all)
                await archive_all(server, counting)
        part = max(manifests_of(store), key=lambda part: part.last_seq)
        reads = counting.calls["get"] + counting.calls["list"]
        also = [] if part.first_seq == manifests_there + 1 else [f"it went on at {part.first_seq}"]
        return published, also + ([] if reads < 20 else [f"{reads} reads at the start"])

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=10)


def _read_all(self: EventsCommitter, keys: list[object]) -> list[object]:
    return [self._stand_of(key) for key in keys]  # type: ignore[arg-type]


def _place(store: DirectoryStore, manifest: EventsManifest) -> None:
    """As `put_if_absent` would, without forcing each of thousands to disk."""
    path = store.root / manifest.key.manifest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(manifests.encode(manifest))

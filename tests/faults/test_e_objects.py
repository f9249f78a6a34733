"""The archiver's faults (group E) that lie in the store: full disks, other bytes, damaged objects."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard
from tenacity import retry_if_exception_type

from archive import files, normalized_commit, normalized_read
from archive import normalized_manifest as manifests
from archive.files import Damaged
from archive.normalized_commit import EventsCommitter
from archive.normalized_manifest import EventsManifest
from archive.normalized_read import read_events
from archive.rows import StoredRows
from archive.store import DirectoryStore, Store
from streaming import wire_schema
from streaming.events import Event
from tests.archive.bus import (
    FEED,
    TODAY,
    archive_all,
    archiving,
    bus,
    manifests_of,
    trades,
)
from tests.faults.archiving import FullDisk, lived_through, reaches
from tests.faults.proof import Outcome, fault, prove, watched
from tests.running import NatsServer

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
Found = tuple[Sequence[Event], Sequence[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


@fault("E11")
def test_a_full_disk_is_waited_for_in_bounded_memory(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 300)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        full = FullDisk(store)
        most = 0
        async with bus(server) as one:
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(
                        normalized_commit, "retry_if_exception_type", lambda kind: retry_if_exception_type(())
                    )
                full.has_room.set()
                async with archiving(server, full, part_bytes=20_000) as running:
                    full.has_room.clear()
                    await one.publish(published)
                    await reaches(lambda: full.refused >= 2 or not running.is_reading)
                    most = running.taken
                    full.has_room.set()
                    await reaches(lambda: running.taken == 300 or not running.is_reading)
        return published, [] if most < 100 else [f"{most} messages were taken without room"]

    metric = 'ssmd_archiver_store_errors_total{feed="kalshi-sim"}'
    prove(lived_through(life, tmp_path), gaps=(), metric=metric, at_least=2)


@fault("E14")
@pytest.mark.parametrize("left", ["data", "part"])
def test_other_compression_of_the_same_rows_is_the_same_part(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    published = trades(1, 200)
    conflicts = 'ssmd_archiver_conflicts_total{feed="kalshi-sim"}'

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            await archive_all(server, store)
            if left == "data":  # it died before the manifest
                [manifest] = _manifest_paths(store)
                manifest.unlink()
            with monkeypatch.context() as patch, watched() as risen:
                patch.setattr(files, "LEVEL", 19)
                if left == "part":  # it did not see it: two at once
                    patch.setattr(EventsCommitter, "stand", lambda self, created, days: None)
                if not is_handled:
                    patch.setattr(normalized_commit, "put_rows", _put_same_bytes_only)
                await archive_all(server, store)
        return published, [] if risen[conflicts] == 0 and len(manifests_of(store)) == 1 else ["a conflict"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=200)


def _manifest_paths(store: DirectoryStore) -> list[Path]:
    return [path for path in store.root.rglob("*.json") if path.name != "_owner.json"]


def _put_same_bytes_only(store: Store, found: StoredRows, data: bytes) -> StoredRows:
    store.put_if_absent(found.key, data)
    return found


def _spoil(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "gone":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1 << 3
        path.write_bytes(data)


def _pieces_unchecked(store: Store, stored: StoredRows) -> Iterator[bytes]:
    yield zstandard.ZstdDecompressor().decompressobj().decompress(store.get(stored.key))


@fault("E15")
@pytest.mark.parametrize("how", ["cut", "empty", "gone", "flip"])
def test_a_damaged_object_is_refused_by_its_name(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    scenario = _reading(
        server,
        tmp_path,
        spoil=lambda store: _spoil(next(store.root.rglob("*.trade.capnp.zst")), how),
        careless=lambda: monkeypatch.setattr(normalized_read, "read_part", _read_as_the_library_does),
        says="trade.capnp.zst",
    )
    prove(scenario, gaps=(), metric=TRADES, at_least=200)


def _cut_the_last_message(store: DirectoryStore, *, keep: int) -> None:
    """What a writer would leave that closed its file too early: sound zstd, hashes that fit, a message too few."""
    [part] = manifests_of(store)
    [path] = store.root.rglob("*.trade.capnp.zst")
    rows = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    rows = rows[: len(rows) - keep]
    data = zstandard.ZstdCompressor(write_checksum=True).compress(rows)
    file = msgspec.structs.replace(
        part.files[0], raw_bytes=len(rows), stored_bytes=len(data),
        sha256=manifests.digest(data), sha256_rows=manifests.digest(rows),
    )  # fmt: skip
    path.write_bytes(data)
    changed = msgspec.structs.replace(part, files=[file])
    (store.root / part.key.manifest).write_bytes(manifests.encode(changed))


def _read_as_the_library_does(store: Store, manifest: EventsManifest) -> Iterator[tuple[str, bytes]]:
    for file in manifest.files:
        rows = b"".join(_pieces_unchecked(store, normalized_read.stored_rows(manifest, file)))
        messages = wire_schema.MESSAGES.Trade.read_multiple_bytes(rows)
        for message in messages:
            yield file.token, message.as_builder().to_bytes()


@fault("E16")
@pytest.mark.parametrize("missing", [248, 100], ids=["at the last message", "inside it"])
def test_a_file_cut_at_or_inside_its_last_message_is_refused(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int
) -> None:
    scenario = _reading(
        server,
        tmp_path,
        spoil=lambda store: _cut_the_last_message(store, keep=missing),
        careless=lambda: monkeypatch.setattr(normalized_read, "read_part", _read_as_the_library_does),
        says="trade.capnp.zst",
    )
    prove(scenario, gaps=(), metric=TRADES, at_least=200)


def _reading(
    server: str,
    folder: Path,
    *,
    spoil: Callable[[DirectoryStore], object],
    careless: Callable[[], object],
    says: str,
) -> Callable[[bool], Outcome]:
    """A part is archived, then spoilt, then read: the reader must refuse it and name it."""

    def scenario(is_handled: bool) -> Outcome:
        store = DirectoryStore(folder / str(is_handled) / "normalized")
        with watched() as risen:
            asyncio.run(_archive(server, store))
        spoil(store)
        if not is_handled:
            careless()
        try:
            found = list(read_events(store, FEED, TODAY))
        except Damaged as error:
            return Outcome(metrics=risen, also=() if says in str(error) else (f"it is not named: {error}",))
        return Outcome(metrics=risen, faults=(f"{len(found)} events were read from a spoilt part",))

    return scenario


async def _archive(server: str, store: DirectoryStore) -> None:
    async with bus(server) as one:
        await one.publish(trades(1, 200))
        await archive_all(server, store)

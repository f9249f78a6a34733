import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from archive.raw import part_keys
from archive.shipper import Shipper
from archive.store import DirectoryStore, StoreError, bind_owner
from registry.refusal import ExitCode, Refused
from tests.archive.conftest import FEED, SessionMaker, add_trades, archived, make_config, read_all

DAY = date(2025, 12, 14)


def test_a_part_without_manifest_does_not_count_and_does_no_harm(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    store.delete(key.manifest)
    add_trades(log, 10)

    ship()

    assert archived(store) == read_all(log)
    assert store.head(key.data) is not None


def test_the_same_part_put_again_is_the_same_object(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    before = store.get(key.data), store.get(key.manifest)
    store.delete(key.manifest)

    ship()

    assert (store.get(key.data), store.get(key.manifest)) == before


def test_an_orphan_compressed_otherwise_is_taken_for_what_it_holds(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    import zstandard

    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(store.get(key.data))
    store.delete(key.manifest)
    store.delete(key.data)
    store.put_if_absent(key.data, zstandard.ZstdCompressor(level=19, write_checksum=True).compress(lines))

    ship()

    assert archived(store) == read_all(log)


def test_an_orphan_of_other_lines_is_never_overwritten_and_stops_its_session(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    store.delete(key.manifest)
    store.delete(key.data)
    store.put_if_absent(key.data, b"something else")

    ship()

    assert archived(store) == []
    assert store.get(key.data) == b"something else"
    assert REGISTRY.get_sample_value("ssmd_shipper_sessions_blocked", {"feed": FEED}) == 1


class FailingStore(DirectoryStore):
    """Fails every n-th time, before or after the put was done."""

    def __init__(self, root: Path, *, every: int) -> None:
        super().__init__(root)
        self._every, self._count = every, 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._count += 1
        if self._count % self._every == 0:
            raise StoreError("no answer")
        was_new = super().put_if_absent(key, data)
        if self._count % self._every == 1:
            raise StoreError("the answer was lost")
        return was_new


def test_a_store_that_fails_again_and_again_loses_and_doubles_nothing(
    session: SessionMaker, capture: Path, tmp_path: Path
) -> None:
    log = session()
    add_trades(log, 30)
    store = FailingStore(tmp_path / "raw", every=3)
    shipper = Shipper(make_config(capture, store, part_bytes=4_000, part_seconds=0), threading.Event())
    shipper._committer.bind()

    while shipper.step():
        continue

    assert archived(store) == read_all(log)


def test_without_the_store_the_shipper_stops_all_the_same_and_leaves_the_log(
    session: SessionMaker, capture: Path, tmp_path: Path
) -> None:
    log = session()
    add_trades(log, 5)
    halt = threading.Event()
    shipper = Shipper(make_config(capture, FailingStore(tmp_path / "raw", every=1)), halt)
    halt.set()

    shipper.work()

    assert len(read_all(log)) == 6


def test_a_prefix_belongs_to_one_environment(store: DirectoryStore) -> None:
    bind_owner(store, FEED, "demo")
    bind_owner(store, FEED, "demo")

    with pytest.raises(Refused, match="belongs to environment 'demo'") as caught:
        bind_owner(store, FEED, "other")

    assert caught.value.exit_code == ExitCode.CONFLICT

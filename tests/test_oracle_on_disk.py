"""The judge reads a real archive: one spoiled line is found, even where every hash was made to fit."""

import hashlib
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from archive import manifest as manifests
from archive.files import Damaged, compressor
from archive.layout import PartKey, parse_manifest_key
from archive.part import PartBuilder
from archive.raw import read_lines, read_manifest
from archive.store import DirectoryStore
from tests.oracle import Sent, read_archive, read_ledger
from tests.oracle_input import FEED, SESSION, faults, ledger, sent_on, whole


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    """One committed part."""
    store = DirectoryStore(tmp_path / "raw")
    builder = PartBuilder(feed=FEED, environment="demo", session=SESSION, shipper_version="0")
    builder.take(deque(whole().records))
    part = builder.finish()
    store.put_if_absent(part.manifest.key.data, part.data)
    store.put_if_absent(part.manifest.key.manifest, manifests.encode(part.manifest))
    return store


def key_of(store: DirectoryStore) -> PartKey:
    [key] = [key for name in store.list(f"{FEED}/") if (key := parse_manifest_key(name))]
    return key


def forge(store: DirectoryStore, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Rewrite the part with these lines, as if it had always been so."""
    key = key_of(store)
    manifest = read_manifest(store, key)
    lines = change(list(read_lines(store, manifest)))
    text, packer = b"".join(lines), compressor()
    data = packer.compress(text) + packer.flush()
    forged = msgspec.structs.replace(
        manifest, last_n=manifest.first_n + len(lines) - 1, rows=len(lines), raw_bytes=len(text),
        stored_bytes=len(data), sha256=manifests.digest(data), sha256_rows=hashlib.sha256(text).hexdigest(),
    )  # fmt: skip
    for name in (key.data, key.manifest):
        store.delete(name)
    store.put_if_absent(forged.key.data, data)
    store.put_if_absent(forged.key.manifest, manifests.encode(forged))


def renumbered(lines: list[bytes]) -> list[bytes]:
    objects = [msgspec.json.decode(line, type=dict[str, msgspec.Raw]) for line in lines]
    return [
        msgspec.json.encode(
            {**one, "n": msgspec.Raw(b"%d" % n), "recv_ns": msgspec.Raw(b"%d" % (10**18 + n))}
        )
        + b"\n"
        for n, one in enumerate(objects, start=1)
    ]


def found(store: DirectoryStore) -> list[str]:
    return faults(ledger(c1=sent_on(1)), *read_archive(store, FEED))


def test_a_real_archive_is_faultless(store: DirectoryStore) -> None:
    assert found(store) == []


def test_a_forged_archive_with_the_same_lines_is_faultless(store: DirectoryStore) -> None:
    forge(store, renumbered)

    assert found(store) == []


FORGERIES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "removed": lambda lines: renumbered(lines[:5] + lines[6:]),
    "doubled": lambda lines: renumbered(lines[:5] + lines[4:]),
    "altered": lambda lines: [line.replace(b"9.12", b"9.13") for line in lines],
    "a price altered": lambda lines: [*lines[:4], lines[4].replace(b"0.54", b"0.55"), *lines[5:]],
    "reordered": lambda lines: renumbered([*lines[:5], lines[6], lines[5], *lines[7:]]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_spoiled_line_is_found_though_every_hash_fits(store: DirectoryStore, forgery: str) -> None:
    forge(store, FORGERIES[forgery])

    assert found(store)


def test_a_removed_line_that_leaves_a_hole_in_the_numbers_is_damage(store: DirectoryStore) -> None:
    forge(store, lambda lines: lines[:5] + lines[6:])

    with pytest.raises(Damaged):
        found(store)


def test_a_part_without_its_manifest_is_not_archived(store: DirectoryStore) -> None:
    store.delete(key_of(store).manifest)

    assert found(store)


def test_a_line_that_the_exchange_is_still_writing_is_not_read_yet(tmp_path: Path) -> None:
    ledger_file = tmp_path / "sent.ndjson"
    ledger_file.write_bytes(b'{"conn":1,"frame":"whole"}\n{"conn":1,"frame":"be')

    assert read_ledger(ledger_file) == [Sent(1, b"whole")]

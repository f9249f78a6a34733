"""A stored file is read back only if every byte of it is what was stored, in bounded memory."""

import hashlib
import tracemalloc
from pathlib import Path

import pytest
import zstandard

from archive import rows
from archive.files import Damaged
from archive.rows import StoredRows, compress, lines, pieces, put_rows
from archive.store import DirectoryStore, OtherContent


def stored(store: DirectoryStore, content: bytes, key: str = "a/b.jsonl.zst") -> StoredRows:
    data = compress(content, level=1)
    found = StoredRows(
        key=key,
        rows=content.count(b"\n"),
        raw_bytes=len(content),
        stored_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sha256_rows=hashlib.sha256(content).hexdigest(),
    )
    return put_rows(store, found, data)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path)


@pytest.fixture(params=[rows.READ_BYTES, 100])
def read_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Read whole, and in many ranges."""
    monkeypatch.setattr(rows, "READ_BYTES", request.param)
    return int(request.param)


CONTENT = b"".join(b'{"n":%d,"x":"%d"}\n' % (n, n * n) for n in range(2_000))


def test_the_lines_come_back(store: DirectoryStore, read_bytes: int) -> None:
    assert b"".join(lines(store, stored(store, CONTENT))) == CONTENT


def test_no_altered_or_missing_byte_is_passed_over(store: DirectoryStore, read_bytes: int) -> None:
    found = stored(store, CONTENT)
    data = store.get(found.key)

    for position in range(0, len(data), 97):
        for broken in (data[:position], data[:position] + bytes([data[position] ^ 8]) + data[position + 1 :]):
            store.delete(found.key)
            store.put_if_absent(found.key, broken)
            with pytest.raises(Damaged):
                list(pieces(store, found))


def test_what_follows_the_frame_is_noticed(store: DirectoryStore, read_bytes: int) -> None:
    found = stored(store, CONTENT)
    data = store.get(found.key)
    store.delete(found.key)
    store.put_if_absent(found.key, data + data)

    with pytest.raises(Damaged):
        list(pieces(store, found))


def test_a_file_that_is_gone_is_damage_that_names_it(store: DirectoryStore, read_bytes: int) -> None:
    found = stored(store, CONTENT)
    store.delete(found.key)

    with pytest.raises(Damaged, match=found.key):
        list(lines(store, found))


def test_a_bomb_is_refused_in_bounded_memory(store: DirectoryStore, read_bytes: int) -> None:
    bomb = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(256 * 1024 * 1024))
    found = StoredRows(
        key="bomb", rows=1, raw_bytes=1_000, stored_bytes=len(bomb),
        sha256=hashlib.sha256(bomb).hexdigest(), sha256_rows="",
    )  # fmt: skip
    store.put_if_absent("bomb", bomb)

    tracemalloc.start()
    with pytest.raises(Damaged, match="more than its manifest says"):
        list(pieces(store, found))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


def test_another_version_of_the_compressor_is_no_contradiction(store: DirectoryStore) -> None:
    first = stored(store, CONTENT)
    data = compress(CONTENT, level=9)
    other = StoredRows(
        key=first.key, rows=first.rows, raw_bytes=first.raw_bytes, stored_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(), sha256_rows=first.sha256_rows,
    )  # fmt: skip

    assert put_rows(store, other, data) == first


def test_other_rows_under_the_same_key_are(store: DirectoryStore) -> None:
    stored(store, CONTENT)

    with pytest.raises(OtherContent):
        stored(store, CONTENT[:-30] + b"\n")

import hashlib
import tracemalloc
from pathlib import Path

import zstandard

from archive.damage import examine
from archive.directory_store import DirectoryStore
from archive.rows import StoredRows

LINE = (
    b'{"ts":1765713600000,"type":"trade","s":"kalshi-sim-1","n":7,"c":1,"recv_ns":1765713600000000000,"sid":2,"seq":77,'
    b'"data":{"type":"trade","sid":2,"seq":77,"msg":{"market_ticker":"KXA-1"}}}\n'
)
KEY = "kalshi-sim/2025/12/14/trades-00.jsonl.zst"


def stored(store: DirectoryStore, rows: bytes, *, spoil_at: int | None = None) -> StoredRows:
    """A file of these rows of which one stored byte is another, or whose manifest tells of other rows."""
    data = bytearray(zstandard.ZstdCompressor(level=1, write_checksum=True).compress(rows))
    sound = bytes(data)
    if spoil_at is not None:
        data[spoil_at] ^= 1
    store.put_if_absent(KEY, bytes(data))
    return StoredRows(
        key=KEY,
        rows=rows.count(b"\n"),
        raw_bytes=len(rows),
        stored_bytes=len(sound),
        sha256=hashlib.sha256(sound).hexdigest(),
        sha256_rows=hashlib.sha256(rows if spoil_at is not None else b"others").hexdigest(),
    )


def test_damage_in_a_file_that_unpacks_to_very_much_is_located_in_little_memory(tmp_path: Path) -> None:
    rows = LINE * 40_000
    store = DirectoryStore(tmp_path)
    spoiled = stored(store, rows, spoil_at=-2)  # of its checksum
    size = len(rows)
    del rows

    tracemalloc.start()
    found = examine(store, spoiled)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found is not None
    assert 0 < found.rows < 40_000
    assert peak < size  # the file as a whole, its lines and their join would be three of it


def test_the_rows_before_a_line_that_cannot_be_understood_are_safe(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    rows = LINE * 50 + b'{"ts":17657\n' + LINE * 50
    spoiled = stored(store, rows)

    found = examine(store, spoiled)

    assert found is not None
    assert (found.rows, found.offset is not None) == (51, True)

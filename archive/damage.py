"""Where a stored file is damaged, and how many of its rows are at stake."""

from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from archive.files import Damaged, decode_line
from archive.normalized_read import split
from archive.objects import ObjectMissing, Store
from archive.rows import StoredRows, pieces

_STEP = 64  # of compressed bytes: how exactly a damage is located
_EVENTS, _LINES = ".capnp.zst", ".jsonl.zst"


class Finding(NamedTuple):
    """What is wrong with an object; `offset` is in its stored bytes, None where the damage cannot be located."""

    key: str
    problem: str
    offset: int | None = None
    rows: int = 0


def examine(store: Store, stored: StoredRows) -> Finding | None:
    """What is wrong with a file, after every byte and row of it was looked at; None: nothing."""
    try:
        rows = _count(pieces(store, stored), stored)
    except Damaged as error:
        return _located(store, stored, str(error))
    if rows != stored.rows:
        return Finding(stored.key, f"holds {rows} rows instead of {stored.rows}", None, stored.rows)
    return None


def _count(found: Iterator[bytes], stored: StoredRows) -> int:
    """Lines by their ends, messages by their own lengths: a file cut between two of them reads without an error."""
    if stored.key.endswith(_EVENTS):
        return sum(1 for _ in split(b"".join(found), stored.key))
    ends = sum(piece.count(b"\n") for piece in found)
    return ends if stored.key.endswith(_LINES) else stored.rows


def _located(store: Store, stored: StoredRows, problem: str) -> Finding:
    """As far as rows can still be read and understood they are safe; all behind is at stake."""
    try:
        data = store.get(stored.key)
    except ObjectMissing:
        return Finding(stored.key, "is gone", 0, stored.rows)
    if len(data) != stored.stored_bytes:
        problem = f"has {len(data)} bytes instead of {stored.stored_bytes}"
    offset, plain = _readable(data, stored.raw_bytes)
    if stored.key.endswith(_EVENTS):
        # Which of the readable messages is altered, nothing tells: all are at stake.
        return Finding(stored.key, problem, offset, stored.rows)
    safe = _sound_lines(plain)
    is_all = offset is None and safe == stored.rows
    return Finding(stored.key, problem, offset, stored.rows if is_all else stored.rows - safe)


def _readable(data: bytes, budget: int) -> tuple[int | None, bytes]:
    """(where decompression fails or the file ends too early, what came before); None: it reads to its end."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    found: list[bytes] = []
    length = 0
    for start in range(0, len(data), _STEP):
        try:
            piece = frame.decompress(data[start : start + _STEP])
        except zstandard.ZstdError:
            return start, b"".join(found)
        found.append(piece)
        length += len(piece)
        if length > budget or (frame.eof and start + _STEP < len(data)):
            return start, b"".join(found)
    return (None if frame.eof else len(data)), b"".join(found)


def _sound_lines(plain: bytes) -> int:
    sound = 0
    for line in plain.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            decode_line(line)
        except Damaged:
            break
        sound += 1
    return sound

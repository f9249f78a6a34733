"""Where a stored file is damaged, and how many of its rows are at stake."""

from bisect import bisect_left
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
    found = _readable(data, stored.raw_bytes)
    if not stored.key.endswith(_LINES):
        # Which of the readable messages is altered, nothing tells: all are at stake.
        return Finding(stored.key, problem, found.ends_at, stored.rows)
    safe, plain_bytes = _sound_lines(found.plain)
    if safe >= stored.rows:  # every line can be understood, and one of them is another
        return Finding(stored.key, problem, found.ends_at, stored.rows)
    offset = found.ends_at if plain_bytes == len(found.plain) else found.step_of(plain_bytes)
    return Finding(stored.key, problem, offset, stored.rows - safe)


class _Readable(NamedTuple):
    """What can be decompressed: `ends_at` is where that fails or ends too early, None where it reads to its end."""

    plain: bytes
    ends_at: int | None
    lengths: list[int]  # of the plain bytes after each step

    def step_of(self, plain_byte: int) -> int:
        """The first stored byte of the step that made this plain byte."""
        return bisect_left(self.lengths, plain_byte + 1) * _STEP


def _readable(data: bytes, budget: int) -> _Readable:
    frame = zstandard.ZstdDecompressor().decompressobj()
    found: list[bytes] = []
    lengths: list[int] = []
    length = 0
    for start in range(0, len(data), _STEP):
        try:
            piece = frame.decompress(data[start : start + _STEP])
        except zstandard.ZstdError:
            return _Readable(b"".join(found), start, lengths)
        found.append(piece)
        length += len(piece)
        lengths.append(length)
        if length > budget or (frame.eof and start + _STEP < len(data)):
            return _Readable(b"".join(found), start, lengths)
    return _Readable(b"".join(found), None if frame.eof else len(data), lengths)


def _sound_lines(plain: bytes) -> tuple[int, int]:
    """How many lines can be understood before the first that cannot, and their bytes."""
    sound = length = 0
    for line in plain.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            decode_line(line)
        except Damaged:
            break
        sound += 1
        length += len(line)
    return sound, length

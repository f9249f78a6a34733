"""Where a stored file is damaged, and how many of its rows are at stake."""

from collections.abc import Iterator
from typing import NamedTuple

import zstandard

from archive.files import Damaged, decode_line
from archive.normalized_read import split
from archive.objects import ObjectMissing, Store
from archive.rows import StoredRows, pieces

_STEP = 64  # of compressed bytes: how exactly a damage is located
_LONGEST_LINE = 64 * 1024 * 1024  # a frame of 16 MiB in base64, and far more than that
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
    has_lines = stored.key.endswith(_LINES)
    walked = _walk(data, stored.raw_bytes, has_lines=has_lines)
    # Which of the readable messages is altered, nothing tells; nor which line, where all can be understood.
    is_all_at_stake = not has_lines or walked.sound >= stored.rows
    offset = walked.ends_at if is_all_at_stake or walked.spoiled_at is None else walked.spoiled_at
    return Finding(stored.key, problem, offset, stored.rows - (0 if is_all_at_stake else walked.sound))


class _Walked(NamedTuple):
    """How far stored bytes can be read: `ends_at` is where decompressing fails or ends too early, None where it does not.

    `sound` lines can be understood; the first that cannot was made from the stored byte `spoiled_at`, if there is one.
    """

    ends_at: int | None
    sound: int
    spoiled_at: int | None


def _walk(data: bytes, budget: int, *, has_lines: bool) -> _Walked:
    """Step by step: of a file that unpacks to very much no more than a line is held."""
    frame, lines, length = zstandard.ZstdDecompressor().decompressobj(), _Lines(), 0
    for start in range(0, len(data), _STEP):
        try:
            piece = frame.decompress(data[start : start + _STEP])
        except zstandard.ZstdError:
            return _Walked(start, lines.sound, lines.spoiled_at)
        length += len(piece)
        if has_lines:
            lines.take(piece, start)
        if length > budget or (frame.eof and start + _STEP < len(data)):
            return _Walked(start, lines.sound, lines.spoiled_at)
    return _Walked(None if frame.eof else len(data), lines.sound, lines.spoiled_at)


class _Lines:
    """Counts lines until the first that cannot be understood, or has no end."""

    def __init__(self) -> None:
        self.sound = 0
        self._begun, self._begun_at = b"", 0
        self._is_spoiled = False

    @property
    def spoiled_at(self) -> int | None:
        """The stored byte from which the first bad line was made; None where every byte belongs to a good one."""
        return self._begun_at if self._is_spoiled or self._begun else None

    def take(self, piece: bytes, made_from: int) -> None:
        """The next plain bytes, and the stored byte that they were made from."""
        if self._is_spoiled or not piece:
            return
        if not self._begun:
            self._begun_at = made_from
        *whole, rest = (self._begun + piece).split(b"\n")
        for line in whole:
            try:
                decode_line(line + b"\n")
            except Damaged:
                self._is_spoiled = True
                return
            self.sound += 1
            self._begun_at = made_from
        self._begun = rest
        self._is_spoiled = len(rest) > _LONGEST_LINE

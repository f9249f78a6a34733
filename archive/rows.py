"""A stored file of rows: what is known of it, how it is written once, and how it is read back with every byte checked."""

import hashlib
from collections.abc import Iterator

import msgspec
import zstandard

from archive.files import Damaged, decompressed
from archive.store import ObjectMissing, OtherContent, Store

READ_BYTES = 8 * 1024 * 1024


class StoredRows(msgspec.Struct, frozen=True, kw_only=True):
    """Where rows lie and what they must be; `raw_bytes` and `sha256_rows` are of the rows before compression."""

    key: str
    rows: int
    raw_bytes: int
    stored_bytes: int
    sha256: str
    sha256_rows: str


def compress(rows: bytes, *, level: int) -> bytes:
    """One zstd frame with a checksum of its content."""
    return zstandard.ZstdCompressor(level=level, write_checksum=True).compress(rows)


def put_rows(store: Store, found: StoredRows, data: bytes) -> StoredRows:
    """Store a file once; what another version of the compressor left there is taken if its rows are the same."""
    try:
        store.put_if_absent(found.key, data)
    except OtherContent:
        stored = store.get(found.key)
        if _digest_of(stored, found.raw_bytes) != found.sha256_rows:
            raise
        return msgspec.structs.replace(
            found, stored_bytes=len(stored), sha256=hashlib.sha256(stored).hexdigest()
        )
    return found


def _digest_of(data: bytes, raw_bytes: int) -> str:
    digest = hashlib.sha256()
    try:
        for piece in decompressed(data, budget=raw_bytes):
            digest.update(piece)
    except Damaged:
        return ""
    return digest.hexdigest()


def pieces(store: Store, stored: StoredRows) -> Iterator[bytes]:
    """The file's content piece by piece, in bounded memory; raises Damaged at the latest after the last piece."""
    if stored.stored_bytes <= READ_BYTES:
        yield from _whole(store, stored)
        return
    digest, length, budget = hashlib.sha256(), 0, stored.raw_bytes
    frame = zstandard.ZstdDecompressor().decompressobj()
    of_stored = hashlib.sha256()
    for start in range(0, stored.stored_bytes, READ_BYTES):
        chunk = _range(store, stored, start)
        of_stored.update(chunk)
        for piece in _decompress(frame, chunk, stored.key):
            length += len(piece)
            if length > budget:
                raise Damaged(f"{stored.key} holds more than its manifest says")
            digest.update(piece)
            yield piece
    _require(
        stored, not store.get_range(stored.key, stored.stored_bytes, 1), "is longer than what was stored"
    )
    if not frame.eof or frame.unused_data:
        raise Damaged(f"{stored.key}: the zstd frame is cut short, or something follows it")
    _require(stored, of_stored.hexdigest() == stored.sha256, "is not what was stored: its SHA-256 differs")
    _require(stored, digest.hexdigest() == stored.sha256_rows, "holds other rows than its manifest says")


def read_back(store: Store, stored: StoredRows) -> None:
    """Hold every byte of a file against its digests; raises Damaged."""
    for _ in pieces(store, stored):
        continue


def is_sound(store: Store, stored: StoredRows) -> bool:
    """Whether the file is there, and every byte is what it must be."""
    try:
        read_back(store, stored)
    except Damaged:
        return False
    return True


def _whole(store: Store, stored: StoredRows) -> Iterator[bytes]:
    data = _get(store, stored)
    is_same = len(data) == stored.stored_bytes and hashlib.sha256(data).hexdigest() == stored.sha256
    _require(stored, is_same, "is not what was stored: its SHA-256 differs from the manifest's")
    digest = hashlib.sha256()
    try:
        for piece in decompressed(data, budget=stored.raw_bytes):
            digest.update(piece)
            yield piece
    except Damaged as error:
        raise Damaged(f"{stored.key}: {error}") from error
    _require(stored, digest.hexdigest() == stored.sha256_rows, "holds other rows than its manifest says")


def _get(store: Store, stored: StoredRows) -> bytes:
    try:
        return store.get(stored.key)
    except ObjectMissing as error:
        raise Damaged(f"{stored.key} is gone: {stored.rows} rows") from error


def _range(store: Store, stored: StoredRows, start: int) -> bytes:
    wanted = min(READ_BYTES, stored.stored_bytes - start)
    try:
        chunk = store.get_range(stored.key, start, wanted)
    except ObjectMissing as error:
        raise Damaged(f"{stored.key} is gone: {stored.rows} rows") from error
    _require(stored, len(chunk) == wanted, f"ends at byte {start + len(chunk)} of {stored.stored_bytes}")
    return chunk


_INPUT_STEP = 4096  # of compressed bytes: what zstd makes of them is bounded


def _decompress(frame: "zstandard.ZstdDecompressionObj", chunk: bytes, key: str) -> Iterator[bytes]:
    for start in range(0, len(chunk), _INPUT_STEP):
        try:
            piece = frame.decompress(chunk[start : start + _INPUT_STEP])
        except zstandard.ZstdError as error:
            raise Damaged(f"{key} is not a sound zstd frame: {error}") from error
        if piece:
            yield piece


def _require(stored: StoredRows, holds: bool, problem: str) -> None:
    if not holds:
        raise Damaged(f"{stored.key} {problem}")


def lines(store: Store, stored: StoredRows) -> Iterator[bytes]:
    """The file's lines, each with its newline; the number of rows is checked as well."""
    rest, count = b"", 0
    for piece in pieces(store, stored):
        whole, newline, tail = piece.rpartition(b"\n")
        if not newline:
            rest += piece
            continue
        found = (rest + whole + newline).splitlines(keepends=True)
        count += len(found)
        yield from found
        rest = tail
    _require(stored, not rest and count == stored.rows, f"holds {count} whole lines instead of {stored.rows}")

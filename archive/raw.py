"""Reads the raw archive back: only what a committed manifest lists, and only if it is what the manifest says."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import pairwise

from archive import manifest as manifests
from archive.files import Damaged, RawRecord, decode_line, decompressed
from archive.layout import PartKey, parse_manifest_key, parts_prefix, session_prefix
from archive.manifest import PartManifest
from archive.store import Store


def part_keys(store: Store, feed: str, on: date, *, session: str | None = None) -> list[PartKey]:
    """The committed parts of a day, by session and n."""
    prefix = session_prefix(feed, on, session) if session else parts_prefix(feed, on)
    found = (parse_manifest_key(key) for key in store.list(prefix))
    return sorted(key for key in found if key is not None)


def read_manifest(store: Store, key: PartKey) -> PartManifest:
    """The manifest of one part."""
    return manifests.decode(store.get(key.manifest), key=key)


def read_lines(store: Store, manifest: PartManifest) -> Iterator[bytes]:
    """A part's lines, each with its newline, after the whole part was verified; raises Damaged."""
    data = store.get(manifest.key.data)
    if len(data) != manifest.stored_bytes or manifests.digest(data) != manifest.sha256:
        raise Damaged(f"{manifest.key.data} is not what was stored: its SHA-256 differs from the manifest's")
    lines = b"".join(decompressed(data, budget=manifest.raw_bytes))
    if hashlib.sha256(lines).hexdigest() != manifest.sha256_rows or lines.count(b"\n") != manifest.rows:
        raise Damaged(f"{manifest.key.data} holds other lines than its manifest says")
    yield from lines.splitlines(keepends=True)


def read_part(store: Store, manifest: PartManifest) -> Iterator[RawRecord]:
    """A part's records in n order."""
    for expected, line in enumerate(read_lines(store, manifest), start=manifest.first_n):
        found = decode_line(line)
        if (found.session, found.record.n) != (manifest.session, expected):
            raise Damaged(
                f"{manifest.key.data} holds {found.session}.{found.record.n} where {expected} was due"
            )
        yield found


def read_day(store: Store, feed: str, on: date, *, session: str | None = None) -> Iterator[RawRecord]:
    """All committed records of a feed's UTC day, session by session in n order."""
    keys = part_keys(store, feed, on, session=session)
    _require_apart(keys)
    for key in keys:
        yield from read_part(store, read_manifest(store, key))


def _require_apart(keys: Iterable[PartKey]) -> None:
    for one, other in pairwise(keys):
        if one.session == other.session and other.first_n <= one.last_n:
            raise Damaged(f"{one.data} and {other.data} hold the same records")

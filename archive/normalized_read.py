"""Reads provisional normalized parts back: only what a committed manifest lists, and only if it is what it says."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from archive import normalized_manifest as manifests
from archive.files import Damaged
from archive.layout import EventsKey, events_prefix, parse_events_key
from archive.normalized_manifest import EventsFile, EventsManifest
from archive.normalized_message import SCHEMA, framed_length
from archive.rows import StoredRows, pieces
from archive.store import ObjectMissing, Store
from streaming import wire
from streaming.events import Event
from streaming.glance import glance


class Row(NamedTuple):
    """An event that is not decoded yet; sorts by time and identity."""

    received_ns: int
    session: str
    n: int
    k: int
    token: str
    payload: bytes


def part_keys(store: Store, feed: str, schema: str, on: date) -> list[EventsKey]:
    """The committed parts of a day, by life of the stream and number."""
    found = (parse_events_key(key) for key in store.list(events_prefix(feed, schema, on)))
    return sorted(key for key in found if key is not None)


def read_manifest(store: Store, key: EventsKey) -> EventsManifest:
    """The manifest of one part; raises Damaged."""
    try:
        return manifests.decode(store.get(key.manifest), key=key)
    except ObjectMissing as error:
        raise Damaged(f"{key.manifest} is gone") from error


def stored_rows(manifest: EventsManifest, file: EventsFile) -> StoredRows:
    """One of the part's files, as the archive's other readers know files."""
    return StoredRows(
        key=manifest.place(file),
        rows=file.rows,
        raw_bytes=file.raw_bytes,
        stored_bytes=file.stored_bytes,
        sha256=file.sha256,
        sha256_rows=file.sha256_rows,
    )


def read_part(store: Store, manifest: EventsManifest) -> Iterator[tuple[str, bytes]]:
    """(kind, message) of a part, kind by kind in the stream's order, each file after it was verified whole."""
    for file in manifest.files:
        stored = stored_rows(manifest, file)
        messages = list(split(b"".join(pieces(store, stored)), stored.key))
        if len(messages) != file.rows:
            raise Damaged(f"{stored.key} holds {len(messages)} messages instead of {file.rows}")
        for message in messages:
            yield file.token, message


def split(data: bytes, key: str) -> Iterator[bytes]:
    """The messages that lie one after the other in `data`; raises Damaged where they do not end with it."""
    start = 0
    while start < len(data):
        length = framed_length(data, start)
        if length <= 0 or start + length > len(data):
            raise Damaged(f"{key} does not end with a whole message")
        yield data[start : start + length]
        start += length


def read_parts(store: Store, feed: str, schema: str, on: date) -> Iterator[tuple[str, bytes]]:
    """(kind, message) of all the day's parts, as they came: an event may come more than once."""
    for key in part_keys(store, feed, schema, on):
        yield from read_part(store, read_manifest(store, key))


def read_rows(store: Store, feed: str, on: date) -> Iterator[Row]:
    """Each event of the day once, by receive time and identity; of v2, since v1's messages state neither.

    Held in memory are only the parts whose times overlap: no later part begins before what is yielded.
    """
    found = [read_manifest(store, key) for key in part_keys(store, feed, SCHEMA, on)]
    parts = sorted((part for part in found if part.rows), key=lambda part: part.first_recv_ns)
    waiting: list[Row] = []
    for index, part in enumerate(parts, start=1):
        waiting += _rows(store, part)
        waiting.sort()
        is_last = index == len(parts)
        ready = len(waiting) if is_last else _count_before(waiting, parts[index].first_recv_ns)
        yield from _distinct(waiting[:ready])
        del waiting[:ready]


def read_events(store: Store, feed: str, on: date) -> Iterator[Event]:
    """The same, decoded."""
    for row in read_rows(store, feed, on):
        yield wire.decode(row.token, row.payload)


def _rows(store: Store, part: EventsManifest) -> Iterator[Row]:
    for token, payload in read_part(store, part):
        try:
            seen = glance(token, payload)
        except wire.WireError as error:
            raise Damaged(f"{part.key.data(token)} holds what is no event: {error}") from error
        yield Row(seen.received_ns, seen.session, seen.n, seen.k, token, payload)


def _count_before(rows: list[Row], received_ns: int) -> int:
    """How many of the sorted rows were received before that."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if rows[middle].received_ns < received_ns:
            low = middle + 1
        else:
            high = middle
    return low


def _distinct(rows: Iterable[Row]) -> Iterator[Row]:
    last = None
    for row in rows:
        # A gap notice has its own numbers: it must not hide an event of the same frame.
        identity = (row.received_ns, row.session, row.n, row.k, row.token == "gap")  # noqa: S105
        if identity != last:
            yield row
        last = identity

"""Manifests of a sealed day's parts that are gone, though their data are still there."""

from collections.abc import Iterator, Sequence
from datetime import date

from archive import layout, normalized_read
from archive.damage import Finding
from archive.layout import EventsKey, PartKey, parse_events_key
from archive.normalized_message import SCHEMAS
from archive.raw import part_keys
from archive.seal import Archive
from archive.seal_manifest import DayManifest, is_beyond, ranges_of


def lost_manifests(
    archive: Archive, on: date, manifest: DayManifest | None, told: Sequence[PartKey]
) -> Iterator[Finding]:
    """Of a day that is not sealed its missing records tell; what `gc` removes goes with its data."""
    if manifest is None:
        return
    known, there = ranges_of(manifest), set(part_keys(archive.raw, archive.feed, on))
    gone = [key for key in told if key not in there and not is_beyond(key, known)]
    data = set(archive.raw.list(layout.parts_prefix(archive.feed, on))) if gone else set()
    for key in gone:
        if key.data in data:
            yield Finding(key.manifest, "is gone; the sealed files hold the part's records")
    if not manifest.is_partial:
        for schema in SCHEMAS:
            yield from _of_events(archive, schema, on)


def _of_events(archive: Archive, schema: str, on: date) -> Iterator[Finding]:
    """What a writer that died left has no manifest either: then a committed part has its messages, or none came after."""
    store, prefix = archive.normalized, layout.events_prefix(archive.feed, schema, on)
    there = normalized_read.part_keys(store, archive.feed, schema, on)
    for key in sorted({key for name in store.list(prefix) if (key := _owner(name))} - set(there)):
        own = [one for one in there if one.epoch == key.epoch]
        is_written_again = any(one.first_seq <= key.last_seq and key.first_seq <= one.last_seq for one in own)
        if not is_written_again and any(one.first_seq > key.last_seq for one in own):
            yield Finding(key.manifest, "is gone; raw has what the part held")


def _owner(name: str) -> EventsKey | None:
    """The part of which this is a file."""
    folder, _, file = name.rpartition("/")
    return parse_events_key(f"{folder}/{file.partition('.')[0]}.json")

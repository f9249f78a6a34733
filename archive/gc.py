"""Removes what a sealed day has made superfluous: raw and provisional parts, and the notes of its steps."""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from archive import layout, normalized_read, seal_manifest
from archive.damage import examine
from archive.files import Damaged
from archive.layout import EventsKey, parse_manifest_key
from archive.objects import Store
from archive.rows import StoredRows
from archive.seal import Archive
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, is_beyond, ranges_of
from streaming import failpoints

KEEP_NS = 7 * 86_400 * 10**9


class NotYet(Exception):
    """The day's parts are still needed."""


class Superfluous(NamedTuple):
    """What can go of one day."""

    raw: list[str]
    normalized: list[str]


def superfluous(archive: Archive, on: date, *, now_ns: int) -> Superfluous:
    """The keys that a day can do without; raises NotYet and Damaged: the sealed files must prove sound first."""
    manifest = seal_manifest.latest(archive.raw, archive.feed, on)
    if manifest is None:
        raise NotYet(f"{on} is not sealed")
    if manifest.is_partial:
        raise NotYet(f"{on} is sealed only in part: version {manifest.version} was made before its end")
    if now_ns - manifest.sealed_ns < KEEP_NS:
        raise NotYet(f"{on} was sealed less than seven days ago")
    known, prefix = ranges_of(manifest), layout.seal_prefix(archive.feed, on)
    parts = layout.parts_prefix(archive.feed, on)
    raw = [key for key in archive.raw.list(parts) if _is_covered(key, known)]
    steps = [key for key in archive.raw.list(prefix) if _is_note(key.removeprefix(prefix), manifest.version)]
    provisional = _provisional(archive.normalized, archive.feed, manifest.schema, on, known)
    found = Superfluous(_manifests_first([*raw, *steps]), _manifests_first(provisional))
    if found.raw or found.normalized:  # a day that was cleared long ago is not read again
        _require_sound(archive, manifest)
    return found


def _require_sound(archive: Archive, manifest: DayManifest) -> None:
    for stored, store in _sealed(archive, manifest):
        if (finding := examine(store, stored)) is not None:
            raise Damaged(f"{finding.key} {finding.problem}: the parts of {manifest.date} are kept")


def _sealed(archive: Archive, manifest: DayManifest) -> Iterator[tuple[StoredRows, Store]]:
    for file in manifest.raw:
        yield file, archive.raw
    for shard in manifest.shards:
        for file in read_index(archive.normalized, shard.index):
            yield file, archive.normalized


def _is_covered(key: str, known: dict[str, tuple[int, int]]) -> bool:
    """A part's manifest or data, all of whose records are in the sealed version."""
    part = parse_manifest_key(key.removesuffix(".jsonl.zst") + ".json" if key.endswith(".zst") else key)
    return part is not None and not is_beyond(part, known)


def _provisional(
    store: Store, feed: str, schema: str, on: date, known: dict[str, tuple[int, int]]
) -> Iterator[str]:
    """The provisional objects, without parts that hold what the sealed version has not: theirs is the only copy."""
    keys = normalized_read.part_keys(store, feed, schema, on)
    kept = tuple(key.manifest.removesuffix("json") for key in keys if not _is_in(known, store, key))
    return (name for name in store.list(layout.events_prefix(feed, schema, on)) if not name.startswith(kept))


def _is_in(known: dict[str, tuple[int, int]], store: Store, key: EventsKey) -> bool:
    try:
        sessions = normalized_read.read_manifest(store, key).sessions
    except Damaged:  # what it holds cannot be told
        return False
    ranges = ((*known.get(session, (1, 0)), *told) for session, told in sessions.items())
    return all(first <= first_n and last_n <= last for first, last, first_n, last_n, _ in ranges)


def _is_note(name: str, version: int) -> bool:
    """What a step of a committed version left; plans, day manifests, identities and states stay."""
    is_committed = name[:4].isdigit() and int(name[:4]) <= version
    return is_committed and any(step in name for step in (".raw-", ".shard-", ".bus."))


def _manifests_first(keys: Iterable[str]) -> list[str]:
    """Readers trust manifests: what no manifest names is nobody's any more."""
    return sorted(keys, key=lambda key: (not key.endswith(".json"), key))


def remove(archive: Archive, found: Superfluous) -> None:
    """Delete them; a second call goes on where a crash ended the first."""
    failpoints.reach("gc.before_delete")
    for store, keys in ((archive.raw, found.raw), (archive.normalized, found.normalized)):
        for key in keys:
            store.delete(key)
            failpoints.reach("gc.mid_delete")

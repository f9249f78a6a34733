"""Looks at every byte of a day's archive: documents, their chain, raw files, normalized files, parts."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from itertools import islice
from types import MappingProxyType

import msgspec

from archive import layout, normalized_manifest, normalized_read, seal_manifest
from archive import manifest as raw_manifest
from archive.checked_line import is_exactly
from archive.continuity import Continuity, Following, following
from archive.damage import Finding, examine
from archive.day_documents import (
    bus_seen,
    chain_findings,
    day_manifest,
    owner_findings,
    plan_findings,
    step_findings,
    sum_findings,
    unfinished_findings,
)
from archive.files import Damaged
from archive.layout import EventsKey, PartKey
from archive.lost_manifests import lost_manifests
from archive.normalized_manifest import EventsManifest
from archive.normalized_message import SCHEMAS
from archive.objects import ObjectMissing, Store
from archive.raw import part_keys
from archive.rows import StoredRows
from archive.seal import Archive
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, planned, ranges_of, replaced_by
from archive.verify_deep import events_finding, part_finding, remade_findings
from archive.verify_numbers import number_findings

READS_AT_ONCE = 8
Progress = Callable[[int], None]
Check = Callable[[], Finding | None]


class Superseded(Finding):
    """Damage of what only an older version names: the latest one is as good as it was."""

    __slots__ = ()


_NONE: Mapping[int, str] = MappingProxyType({})


def verify_day(
    archive: Archive,
    on: date,
    *,
    deep: bool = False,
    known: Mapping[int, str] = _NONE,
    told: Sequence[PartKey] = (),
    progress: Progress = lambda done: None,
) -> Iterator[Finding]:
    """All that is wrong with a day; `deep` makes its events and manifests from raw once more, and compares.

    `known`: the SHA-256 of its manifests as the registry knows them, by version; `told`: its parts likewise.
    """
    after = _following(archive, on)
    yield from owner_findings(archive, on)
    versions = yield from _documents(archive, on, known)
    manifest = versions[-1] if versions else None
    yield from _holes(archive, on, manifest, after, told)
    for done, finding in enumerate(_examined(_files(archive, on, manifest, deep=deep)), start=1):
        progress(done)
        if finding is not None:
            yield finding
    yield from _superseded(archive, versions)
    yield from lost_manifests(archive, on, manifest, told)
    if manifest is not None:
        yield from number_findings(archive.raw, manifest)
        if deep:
            yield from remade_findings(archive, manifest)


def _following(archive: Archive, on: date) -> Following | Damaged:
    try:
        return following(archive.raw, archive.feed, on)
    except Damaged as error:
        return error


def _holes(
    archive: Archive,
    on: date,
    manifest: DayManifest | None,
    after: Following | Damaged,
    told: Sequence[PartKey],
) -> Iterator[Finding]:
    """Records that are gone: what a seal would refuse the day for."""
    place = layout.parts_prefix(archive.feed, on)
    if isinstance(after, Damaged):
        yield Finding(place, f"what follows on the day cannot be told: {after}")
        after = Following(None, {})
    keys = part_keys(archive.raw, archive.feed, on)
    whole = Continuity(archive.raw, archive.feed, on, keys, known=ranges_of(manifest), after=after, told=told)
    try:
        for hole in whole.holes():
            yield Finding(place, str(hole), None, hole.rows)
    except Damaged as error:
        yield Finding(place, f"what came before the day cannot be told: {error}")


def _documents(
    archive: Archive, on: date, known: Mapping[int, str]
) -> Generator[Finding, None, list[DayManifest]]:
    """Every version's documents; returns the manifests that are sound, the latest last."""
    versions = seal_manifest.versions(archive.raw, archive.feed, on)
    sound: list[DayManifest] = []
    for version in sorted({*versions, *known}):
        found = day_manifest(archive, on, version, sha256=known.get(version, ""))
        if isinstance(found, Finding):
            yield found
            continue
        yield from plan_findings(archive, found)
        yield from chain_findings(archive.raw, found)
        yield from sum_findings(found)
        yield from step_findings(archive, found, sound)
        sound.append(found)
    yield from unfinished_findings(archive, on, max(versions, default=0) + 1, sound)
    return sound


def _examined(checks: Iterator[Check]) -> Iterator[Finding | None]:
    """Many at a time: reading from a store far away is mostly waiting."""
    with ThreadPoolExecutor(READS_AT_ONCE, "verify") as pool:
        while batch := list(islice(checks, 16 * READS_AT_ONCE)):
            yield from pool.map(lambda check: check(), batch)


def _superseded(archive: Archive, versions: Sequence[DayManifest]) -> Iterator[Finding]:
    """What only older versions name; what a later one replaced, since it was found unusable, is known."""
    if not versions:
        return
    replaced = {key for later in versions for key in replaced_by(later)}
    latest = {check.key for check in _of_version(archive, versions[-1])}
    for older in versions[:-1]:
        checks = [one for one in _of_version(archive, older) if one.key not in latest | replaced]
        for finding in filter(None, _examined(iter(checks))):
            yield Superseded(*finding)
        latest |= {one.key for one in checks}


def _files(archive: Archive, on: date, manifest: DayManifest | None, *, deep: bool) -> Iterator[Check]:
    if manifest is not None:
        yield from _of_version(archive, manifest)
    for key in part_keys(archive.raw, archive.feed, on):
        yield partial(examine_part, archive.raw, key, deep=deep)
    for schema in SCHEMAS:
        for events in normalized_read.part_keys(archive.normalized, archive.feed, schema, on):
            yield from _of_events(archive.normalized, events, deep=deep)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that a version names, and where it lies; called, it is examined."""

    store: Store
    rows: StoredRows

    @property
    def key(self) -> str:
        """The file's."""
        return self.rows.key

    def __call__(self) -> Finding | None:
        return examine(self.store, self.rows)


def _of_version(archive: Archive, manifest: DayManifest) -> Iterator[Stored]:
    """The files of one sealed version."""
    for stored in manifest.raw:
        yield Stored(archive.raw, stored)
    for shard in manifest.shards:
        yield Stored(archive.raw, shard.identities)
        yield Stored(archive.raw, shard.carry)
        yield Stored(archive.normalized, shard.index)
        yield from _of_index(archive.normalized, shard.index)
    seen = bus_seen(archive, manifest)
    if seen is not None:
        yield Stored(archive.raw, seen.identities)


def _of_index(store: Store, index: StoredRows) -> Iterator[Stored]:
    try:
        files = read_index(store, index)
    except (Damaged, msgspec.DecodeError):
        return  # it is examined itself
    for file in files:
        yield Stored(store, file)


def examine_part(store: Store, key: PartKey, *, deep: bool = False) -> Finding | None:
    """What is wrong with a raw part: its manifest, its lines, or, looked at deep, what one says of the other."""
    rows = key.last_n - key.first_n + 1
    try:
        data = store.get(key.manifest)
        manifest = raw_manifest.decode(data, key=key)
    except ObjectMissing:
        return Finding(key.manifest, "is gone", None, rows)
    except Damaged as error:
        return Finding(key.manifest, str(error), None, rows)
    if not is_exactly(data, raw_manifest.encode(manifest)):
        return Finding(key.manifest, "is not written as it would be", None, rows)
    return examine(store, planned(manifest)) or (part_finding(store, manifest) if deep else None)


def _of_events(store: Store, key: EventsKey, *, deep: bool) -> Iterator[Check]:
    """The checks of a provisional part: one of its manifest, one of each file."""
    manifest = read_events_manifest(store, key)
    if isinstance(manifest, Finding):
        yield partial(_same, manifest)
        return
    for file in manifest.all_files:
        yield Stored(store, normalized_read.stored_rows(manifest, file))
    if deep:
        yield partial(events_finding, store, manifest)


def _same(finding: Finding) -> Finding:
    return finding


def read_events_manifest(store: Store, key: EventsKey) -> EventsManifest | Finding:
    """A provisional part's manifest, or what is wrong with it."""
    try:
        data = store.get(key.manifest)
        manifest = normalized_manifest.decode(data, key=key)
    except ObjectMissing:
        return Finding(key.manifest, "is gone")
    except Damaged as error:
        return Finding(key.manifest, str(error))
    if not is_exactly(data, normalized_manifest.encode(manifest)):
        return Finding(key.manifest, "is not written as it would be")
    return manifest

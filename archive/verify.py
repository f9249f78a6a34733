"""Looks at every byte of a day's archive: documents, their chain, raw files, normalized files, parts."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from archive.day_lines import DayLine, read_line
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.layout import EventsKey, PartKey
from archive.normalized_manifest import EventsManifest
from archive.normalized_message import SCHEMAS
from archive.objects import ObjectMissing, Store
from archive.raw import part_keys
from archive.rows import StoredRows, lines
from archive.seal import Archive
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, DayMark, SessionSpan, planned, ranges_of
from archive.seal_raw import kept_mark
from archive.verify_deep import events_finding, part_finding, remade_findings

READS_AT_ONCE = 8
Progress = Callable[[int], None]
Check = Callable[[], Finding | None]
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
    yield from owner_findings(archive)
    manifest = yield from _documents(archive, on, known)
    yield from _holes(archive, on, manifest, after, told)
    for done, finding in enumerate(_examined(_files(archive, on, manifest, deep=deep)), start=1):
        progress(done)
        if finding is not None:
            yield finding
    if manifest is not None:
        yield from _numbers(archive.raw, manifest)
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
) -> Generator[Finding, None, DayManifest | None]:
    """Every version's documents; returns the latest manifest that is sound."""
    versions = seal_manifest.versions(archive.raw, archive.feed, on)
    manifest: DayManifest | None = None
    for version in sorted({*versions, *known}):
        found = day_manifest(archive, on, version, sha256=known.get(version, ""))
        if isinstance(found, Finding):
            yield found
            continue
        yield from plan_findings(archive, found)
        yield from chain_findings(archive.raw, found)
        yield from sum_findings(found)
        yield from step_findings(archive, found, manifest)
        manifest = found
    yield from unfinished_findings(archive, on, max(versions, default=0) + 1, manifest)
    return manifest


def _examined(checks: Iterator[Check]) -> Iterator[Finding | None]:
    """Many at a time: reading from a store far away is mostly waiting."""
    with ThreadPoolExecutor(READS_AT_ONCE, "verify") as pool:
        while batch := list(islice(checks, 16 * READS_AT_ONCE)):
            yield from pool.map(lambda check: check(), batch)


def _files(archive: Archive, on: date, manifest: DayManifest | None, *, deep: bool) -> Iterator[Check]:
    for stored in manifest.raw if manifest else []:
        yield _check(archive.raw, stored)
    for shard in manifest.shards if manifest else []:
        yield _check(archive.raw, shard.identities)
        yield _check(archive.raw, shard.carry)
        yield from _of_index(archive.normalized, shard.index)
    seen = bus_seen(archive, manifest) if manifest else None
    if seen is not None:
        yield _check(archive.raw, seen.identities)
    for key in part_keys(archive.raw, archive.feed, on):
        yield partial(examine_part, archive.raw, key, deep=deep)
    for schema in SCHEMAS:
        for events in normalized_read.part_keys(archive.normalized, archive.feed, schema, on):
            yield from _of_events(archive.normalized, events, deep=deep)


def _check(store: Store, stored: StoredRows) -> Check:
    return partial(examine, store, stored)


def _of_index(store: Store, index: StoredRows) -> Iterator[Check]:
    try:
        files = read_index(store, index)
    except (Damaged, msgspec.DecodeError):
        yield _check(store, index)
        return
    for file in files:
        yield _check(store, file)


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
        yield _check(store, normalized_read.stored_rows(manifest, file))
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


def _numbers(store: Store, manifest: DayManifest) -> Iterator[Finding]:
    """Of each session every record stands in exactly one line, and the manifest's spans and marks are the lines'."""
    spans: dict[str, SessionSpan] = {}
    found, counted, kept = IdentitySet(), 0, []
    for file in manifest.raw:
        try:
            last: dict[str, int] = {}
            for line in map(read_line, lines(store, file)):
                if line.n <= last.get(line.session, 0):
                    yield Finding(file.key, f"record {line.session}.{line.n} does not stand in its order")
                last[line.session] = line.n
                spans[line.session] = _wider(spans.get(line.session), line)
                found.add(line.session, line.n, 0)
                counted += 1
                if line.is_mark and (mark := kept_mark(line)) is not None:
                    kept.append(mark)
        except Damaged:
            return  # it was named already
    key = layout.seal_key(manifest.feed, manifest.date, manifest.version)
    if counted != len(found):
        yield Finding(key, f"{counted - len(found)} records stand in more than one file", None, counted)
    if sorted(spans.values(), key=_by_start) != sorted(manifest.spans, key=_by_start):
        yield Finding(key, "says other sessions than its lines", None, counted)
    if sorted(kept, key=_by_number) != sorted(manifest.marks, key=_by_number):
        yield Finding(key, "holds other marks than its lines", None, counted)


def _by_start(span: SessionSpan) -> tuple[int, str]:
    return span.first_recv_ns, span.session


def _by_number(mark: DayMark) -> tuple[str, int]:
    return mark.session, mark.n


def _wider(span: SessionSpan | None, line: DayLine) -> SessionSpan:
    if span is None:
        return SessionSpan(
            session=line.session,
            first_n=line.n,
            last_n=line.n,
            first_recv_ns=line.recv_ns,
            last_recv_ns=line.recv_ns,
        )
    if span.first_n < line.n <= span.last_n:
        return span
    return SessionSpan(
        session=line.session,
        first_n=min(span.first_n, line.n),
        last_n=max(span.last_n, line.n),
        first_recv_ns=min(span.first_recv_ns, line.recv_ns),
        last_recv_ns=max(span.last_recv_ns, line.recv_ns),
    )

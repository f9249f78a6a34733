"""Looks at every byte of a day's archive: manifests, their chain, raw files, normalized files, parts."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import islice

import msgspec

from archive import layout, seal_manifest
from archive.damage import Finding, examine
from archive.day_lines import read_line
from archive.files import Damaged
from archive.layout import PartKey
from archive.objects import ObjectMissing, Store
from archive.raw import part_keys, read_manifest
from archive.rows import StoredRows, lines
from archive.seal import Archive
from archive.seal_events import FOLDERS, ShardEvents, read_index, without_overlap
from archive.seal_manifest import DayManifest, Plan, SealedFile, planned
from archive.spill import Spill

READS_AT_ONCE = 8
Progress = Callable[[int], None]


def verify_day(
    archive: Archive, on: date, *, deep: bool = False, progress: Progress = lambda done: None
) -> Iterator[Finding]:
    """All that is wrong with a day; `deep` makes its events from raw once more, and compares."""
    versions = seal_manifest.versions(archive.raw, archive.feed, on)
    manifest: DayManifest | None = None
    for version in versions:
        found = _manifest(archive.raw, archive.feed, on, version)
        if isinstance(found, Finding):
            yield found
            continue
        manifest = found
        yield from _chained(archive.raw, manifest)
    for done, finding in enumerate(_examined(_files(archive, on, manifest)), start=1):
        progress(done)
        if finding is not None:
            yield finding
    if manifest is not None:
        yield from _numbers(archive.raw, manifest)
        if deep:
            yield from _remade(archive, manifest)


def _manifest(store: Store, feed: str, on: date, version: int) -> DayManifest | Finding:
    key = layout.seal_key(feed, on, version)
    try:
        manifest = seal_manifest.read(store, key, DayManifest)
        plan = store.get(layout.plan_key(feed, on, version))
    except Damaged as error:
        return Finding(key, str(error))
    except ObjectMissing as error:
        return Finding(str(error), "is gone")
    if hashlib.sha256(plan).hexdigest() != manifest.plan_sha256:
        return Finding(
            layout.plan_key(feed, on, version), "is not the plan that was sealed", None, manifest.raw_rows
        )
    if (manifest.feed, manifest.date, manifest.version) != (feed, on, version):
        return Finding(key, f"is the manifest of {manifest.feed} {manifest.date}, version {manifest.version}")
    return manifest


def _chained(store: Store, manifest: DayManifest) -> Iterator[Finding]:
    """The day before is still the one that this one was chained to."""
    if manifest.previous_date is None:
        return
    earlier = seal_manifest.versions(store, manifest.feed, manifest.previous_date)
    digests = [
        hashlib.sha256(store.get(layout.seal_key(manifest.feed, manifest.previous_date, version))).hexdigest()
        for version in earlier
    ]
    if manifest.previous not in digests:
        key = layout.seal_prefix(manifest.feed, manifest.previous_date)
        problem = f"no manifest there has the SHA-256 that the day manifest of {manifest.date} names"
        yield Finding(key, problem)


Check = Callable[[], Finding | None]


def _examined(checks: Iterator[Check]) -> Iterator[Finding | None]:
    """Many at a time: reading from a store far away is mostly waiting."""
    with ThreadPoolExecutor(READS_AT_ONCE, "verify") as pool:
        while batch := list(islice(checks, 16 * READS_AT_ONCE)):
            yield from pool.map(lambda check: check(), batch)


def _files(archive: Archive, on: date, manifest: DayManifest | None) -> Iterator[Check]:
    for stored in manifest.raw if manifest else []:
        yield _check(archive.raw, stored)
    for shard in manifest.shards if manifest else []:
        yield _check(archive.raw, shard.identities)
        yield from _of_index(archive.normalized, shard.index)
    for key in part_keys(archive.raw, archive.feed, on):
        yield _part(archive.raw, key)


def _check(store: Store, stored: StoredRows) -> Check:
    return lambda: examine(store, stored)


def _of_index(store: Store, index: StoredRows) -> Iterator[Check]:
    try:
        files = read_index(store, index)
    except (Damaged, msgspec.DecodeError):
        yield _check(store, index)
        return
    for file in files:
        yield _check(store, file)


def _part(store: Store, key: PartKey) -> Check:
    def check() -> Finding | None:
        try:
            manifest = read_manifest(store, key)
        except Damaged as error:
            return Finding(key.manifest, str(error), None, key.last_n - key.first_n + 1)
        return examine(store, planned(manifest))

    return check


def _numbers(store: Store, manifest: DayManifest) -> Iterator[Finding]:
    """Of each session every record stands in exactly one line of the day's files."""
    for file in manifest.raw:
        try:
            last: dict[str, int] = {}
            for line in lines(store, file):
                found = read_line(line)
                if found.n <= last.get(found.session, 0):
                    yield Finding(file.key, f"record {found.session}.{found.n} does not stand in its order")
                last[found.session] = found.n
        except Damaged:
            continue  # it was named already


def _remade(archive: Archive, manifest: DayManifest) -> Iterator[Finding]:
    """The events made from raw once more are those of the files: normalized = f(raw)."""
    on = manifest.date
    plan = seal_manifest.read(archive.raw, layout.plan_key(archive.feed, on, manifest.version), Plan)
    from_sealed = msgspec.structs.replace(plan, base=manifest.version, parts=[])
    for shard in manifest.shards:
        spill = Spill(archive.work / f"verify-{on}-{shard.shard}", FOLDERS, expected_bytes=manifest.raw_bytes)
        for event in ShardEvents(archive.raw, from_sealed, manifest, shard.shard):
            spill.add(*event)
        stored = {(file.kind, file.ticker): file for file in read_index(archive.normalized, shard.index)}
        yield from _compared(spill, stored)


def _compared(spill: Spill, stored: dict[tuple[str, str | None], SealedFile]) -> Iterator[Finding]:
    for folder, ticker, events in spill.files():
        file = stored.pop((folder, ticker), None)
        events = without_overlap(folder, events)
        rows = b"".join(event.payload for event in events)
        if file is None:
            yield Finding(f"{folder} of {ticker}", "is missing: raw has events of it", None, len(events))
        elif hashlib.sha256(rows).hexdigest() != file.sha256_rows:
            yield Finding(file.key, "is not what raw makes of it", None, file.rows)
    for file in stored.values():
        yield Finding(file.key, "holds events that raw does not have", None, file.rows)

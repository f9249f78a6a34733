"""What is wrong with a day's documents: owner, plans, step reports, day manifests and their chain."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date

from archive import layout, seal_manifest
from archive.checked_line import is_exactly
from archive.damage import Finding
from archive.files import Damaged
from archive.objects import ObjectMissing, Store
from archive.seal import Archive, steps_of
from archive.seal_manifest import AnyOf, BusSeen, DayManifest, Plan, RawHour, Shard
from archive.seal_steps import Step, report_of
from archive.store import owner_line


def owner_findings(archive: Archive, on: date) -> Iterator[Finding]:
    """Both prefixes are bound to this environment; once a day is sealed they must be."""
    key, due = layout.owner_key(archive.feed), owner_line(archive.feed, archive.environment)
    for store in (archive.raw, archive.normalized):
        try:
            if store.get(key) != due:
                yield Finding(key, f"does not say that feed {archive.feed} is {archive.environment}'s")
        except ObjectMissing:
            if next(iter(archive.raw.list(layout.seal_prefix(archive.feed, on))), None) is not None:
                yield Finding(key, "is gone: nothing says whose this archive is")


def day_manifest(archive: Archive, on: date, version: int, *, sha256: str = "") -> DayManifest | Finding:
    """A committed version's manifest, or what is wrong with it; `sha256` is what the registry knows it by."""
    key = layout.seal_key(archive.feed, on, version)
    try:
        data = archive.raw.get(key)
        manifest = _document(data, DayManifest, key)
    except ObjectMissing:
        return Finding(key, "is gone", None, _planned_rows(archive, on, version))
    except Damaged as error:
        return Finding(key, str(error), None, _planned_rows(archive, on, version))
    if (manifest.feed, manifest.date, manifest.version) != (archive.feed, on, version):
        return Finding(key, f"is the manifest of {manifest.feed} {manifest.date}, version {manifest.version}")
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        return Finding(
            key, "is not the manifest that the registry knows: its SHA-256 differs", None, manifest.raw_rows
        )
    return manifest


def _document(data: bytes, kind: type[AnyOf], key: str) -> AnyOf:
    """The document; raises Damaged where its bytes are not the ones that were written."""
    document = seal_manifest.decode(data, kind, key=key)
    if not is_exactly(data, seal_manifest.encode(document)):
        raise Damaged(f"{key} is not what was stored: it is not written as it would be")
    return document


def _planned_rows(archive: Archive, on: date, version: int) -> int:
    """How many records the version was made from, beyond those of the version before."""
    try:
        plan = seal_manifest.read(archive.raw, layout.plan_key(archive.feed, on, version), Plan)
    except (ObjectMissing, Damaged):
        return 0
    return sum(part.rows for part in plan.parts)


def plan_findings(archive: Archive, manifest: DayManifest) -> Iterator[Finding]:
    """The plan is still the one that was sealed."""
    key = layout.plan_key(archive.feed, manifest.date, manifest.version)
    try:
        data = archive.raw.get(key)
    except ObjectMissing:
        yield Finding(key, "is gone", None, manifest.raw_rows)
        return
    if hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
        yield Finding(key, "is not the plan that was sealed", None, manifest.raw_rows)


def chain_findings(store: Store, manifest: DayManifest) -> Iterator[Finding]:
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


def sum_findings(manifest: DayManifest) -> Iterator[Finding]:
    """The manifest's totals are those of the files and shards that it lists."""
    raw, shards = manifest.raw, manifest.shards
    totals = {
        "raw_rows": sum(file.rows for file in raw),
        "raw_bytes": sum(file.raw_bytes for file in raw),
        "stored_bytes": sum(file.stored_bytes for file in raw),
        "markets": sum(shard.markets for shard in shards),
        "overlap": sum(shard.overlap for shard in shards),
        "first_recv_ns": min(file.first_recv_ns for file in raw),
        "last_recv_ns": max(file.last_recv_ns for file in raw),
    }
    key = layout.seal_key(manifest.feed, manifest.date, manifest.version)
    for name, due in totals.items():
        if getattr(manifest, name) != due:
            problem = f"says {name} {getattr(manifest, name)}, and its files make {due}"
            yield Finding(key, problem, None, manifest.raw_rows)
    if sum(manifest.events.values()) != sum(sum(shard.rows.values()) for shard in shards):
        yield Finding(key, "counts other events than its shards", None, manifest.raw_rows)


def step_findings(archive: Archive, manifest: DayManifest, sound: Sequence[DayManifest]) -> Iterator[Finding]:
    """What the steps left behind is what the manifest was made of; `gc` removes them."""
    key = layout.plan_key(archive.feed, manifest.date, manifest.version)
    try:
        plan = seal_manifest.read(archive.raw, key, Plan)
    except (Damaged, ObjectMissing):
        return  # it was named already
    base = next((one for one in sound if one.version == plan.base), None)
    if plan.base and base is None:
        return
    for step in steps_of(plan, base):
        yield from _of_step(archive, plan, step, manifest)


def unfinished_findings(
    archive: Archive, on: date, version: int, sound: Sequence[DayManifest]
) -> Iterator[Finding]:
    """A plan that is not sealed yet, and what its steps have done so far."""
    key = layout.plan_key(archive.feed, on, version)
    try:
        plan = _document(archive.raw.get(key), Plan, key)
    except ObjectMissing:
        return
    except Damaged as error:
        yield Finding(key, str(error))
        return
    base = next((one for one in sound if one.version == plan.base), None)
    for step in steps_of(plan, base):
        yield from _of_step(archive, plan, step, None)


def _of_step(archive: Archive, plan: Plan, step: Step, manifest: DayManifest | None) -> Iterator[Finding]:
    key = step.key(plan)
    try:
        data = archive.raw.get(key)
        report = report_of(archive.raw, plan, step)
    except ObjectMissing:
        return
    except Damaged as error:
        yield Finding(key, str(error))
        return
    if not is_exactly(data, seal_manifest.encode(report)):
        yield Finding(key, "is not written as it would be")
    elif manifest is not None and not _is_of(report, step, manifest):
        yield Finding(key, "is not what the day manifest was made of")


def _is_of(report: RawHour | Shard | BusSeen, step: Step, manifest: DayManifest) -> bool:
    if isinstance(report, RawHour):
        listed = [file for file in manifest.raw if file.hour == step.number]
        return report.hour == step.number and report.files == listed
    if isinstance(report, Shard):
        return report == manifest.shards[step.number]
    return (manifest.nats_lost is None) == (report.parts == 0)


def bus_seen(archive: Archive, manifest: DayManifest) -> BusSeen | None:
    """What the seal noted of the bus, where that is still there and sound."""
    key = layout.step_key(archive.feed, manifest.date, manifest.version, "bus")
    try:
        return seal_manifest.read_if_there(archive.raw, key, BusSeen)
    except Damaged:
        return None

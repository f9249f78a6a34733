"""What only making things once more can tell: events from raw, part manifests from lines and messages."""

import hashlib
from collections import deque
from collections.abc import Iterator

import msgspec

from archive import layout, seal_manifest
from archive.damage import Finding
from archive.day_documents import bus_seen
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.manifest import PartManifest
from archive.normalized_manifest import EventsManifest
from archive.normalized_message import SCHEMA
from archive.normalized_read import read_part as read_events
from archive.objects import ObjectMissing, Store
from archive.part import PartBuilder
from archive.raw import read_part
from archive.seal import Archive, bus_losses
from archive.seal_events import read_index, without_overlap
from archive.seal_manifest import DayManifest, Plan, SealedFile, Shard
from archive.shard_events import FOLDERS, ShardEvents
from archive.spill import Spill
from streaming.glance import glance
from streaming.wire import WireError

_NO_LIMIT = 2**62
_UNSEEN = ("stored_bytes", "sha256")  # of the compressed data: compared with them already


def part_finding(store: Store, manifest: PartManifest) -> Finding | None:
    """The manifest is the one that its lines lead to."""
    builder = PartBuilder(
        feed=manifest.feed,
        environment=manifest.environment,
        session=manifest.session,
        shipper_version=manifest.shipper_version,
        max_bytes=_NO_LIMIT,
    )
    builder.connector_version = manifest.connector_version  # only a session's first part can tell
    try:
        waiting = deque(found.record for found in read_part(store, manifest))
        builder.take(waiting)
        made = builder.finish().manifest
    except (Damaged, ObjectMissing, ValueError):
        return None  # its data were named already
    same = {name: getattr(manifest, name) for name in _UNSEEN}
    return _differing(manifest.key.manifest, msgspec.structs.replace(made, **same), manifest, manifest.rows)


def _differing(key: str, made: msgspec.Struct, stored: msgspec.Struct, rows: int) -> Finding | None:
    names = [name for name in made.__struct_fields__ if getattr(made, name) != getattr(stored, name)]
    return Finding(key, f"says other {', '.join(names)} than its rows", None, rows) if names else None


def events_finding(store: Store, manifest: EventsManifest) -> Finding | None:
    """The provisional manifest is the one that its messages lead to; v1's messages do not tell their origin."""
    if manifest.schema != SCHEMA or not manifest.rows:
        return None
    sessions: dict[str, tuple[int, int, int]] = {}
    times: list[int] = []
    try:
        for token, message in read_events(store, manifest):
            seen = glance(token, message)
            first, last, count = sessions.get(seen.session, (seen.n, seen.n, 0))
            sessions[seen.session] = (min(first, seen.n), max(last, seen.n), count + 1)
            times.append(seen.received_ns)
    except (Damaged, WireError):
        return None
    told = (manifest.sessions, manifest.first_recv_ns, manifest.last_recv_ns)
    if (sessions, min(times), max(times)) == told:
        return None
    return Finding(
        manifest.key.manifest, "says other sessions or times than its messages", None, manifest.rows
    )


def remade_findings(archive: Archive, manifest: DayManifest) -> Iterator[Finding]:
    """The events made from raw once more are those of the files: normalized = f(raw)."""
    key = layout.plan_key(archive.feed, manifest.date, manifest.version)
    try:
        plan = seal_manifest.read(archive.raw, key, Plan)
        for shard in manifest.shards:
            yield from _of_shard(archive, manifest, plan, shard)
        yield from _of_bus(archive, manifest)
    except ObjectMissing as error:
        yield Finding(str(error), "is gone: the events cannot be made once more")
    except Damaged as error:
        yield Finding(
            layout.day_prefix(archive.feed, manifest.date), f"its events cannot be made once more: {error}"
        )


def _of_shard(archive: Archive, manifest: DayManifest, plan: Plan, shard: Shard) -> Iterator[Finding]:
    work = archive.work / f"verify-{manifest.date}-{shard.shard}"
    spill = Spill(work, FOLDERS, expected_bytes=manifest.raw_bytes)
    from_sealed = msgspec.structs.replace(plan, base=manifest.version, parts=[])
    events = ShardEvents(archive.raw, from_sealed, manifest, shard.shard)
    for event in events:
        spill.add(*event)
    stored = {(file.kind, file.ticker): file for file in read_index(archive.normalized, shard.index)}
    yield from _compared(spill, stored)
    if _digest(events.identities) != shard.identities.sha256_rows:
        yield Finding(
            shard.identities.key, "holds other identities than raw leads to", None, shard.identities.rows
        )


def _digest(found: IdentitySet) -> str:
    return hashlib.sha256(found.encode()).hexdigest()


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


def _of_bus(archive: Archive, manifest: DayManifest) -> Iterator[Finding]:
    """What the manifest says that the bus lost is what the sets of identities say."""
    seen = bus_seen(archive, manifest)
    if seen is None or manifest.nats_lost is None:
        return
    counted = bus_losses(archive.raw, seen, manifest.shards, is_partial=manifest.is_partial)
    if counted != (manifest.nats_lost, manifest.nats_unexpected):
        key = layout.seal_key(archive.feed, manifest.date, manifest.version)
        yield Finding(key, f"says that the bus lost {manifest.nats_lost} events; {counted[0]} lack there")

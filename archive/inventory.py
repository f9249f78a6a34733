"""Turns committed manifests into rows: archive_parts and data_inventory here, data_gaps by `archive.gap_rows`.

Every row follows from manifests alone: repeating, overlapping and reordering these calls leads to the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import structlog
from django.db import transaction
from django.db.models import Max, Min, Sum
from django.utils import timezone

from archive.files import Damaged
from archive.gap_rows import count_gaps, instant, renew_gaps, sessions_touched
from archive.layout import PartKey, day_prefix, days_between, parse_manifest_key, parts_prefix
from archive.manifest import MarkAt, PartManifest
from archive.raw import read_manifest
from archive.store import Store
from registry.models import ArchivePart, DataGap, DataInventory, Feed, InventorySymbol
from streaming import marks
from streaming.subjects import escape

log = structlog.get_logger()

BATCH = 200
# How far back a session without end mark is still looked for; `everything=True` finds older ones.
OPEN_SESSION_DAYS = 7


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one call found: new parts, and manifests that could not be read."""

    parts: int = 0
    damaged: int = 0


def record_new_parts(
    store: Store, feed: str, environment: str, *, everything: bool = False, now: datetime | None = None
) -> Recorded:
    """Make rows of the manifests that are not yet in the database.

    Looks at the days that may still grow, or at the whole archive of the feed (`everything`, or when it knows none).
    """
    row = Feed.objects.get(name=feed)
    today = (now or timezone.now()).date()
    parts = damaged = 0
    keys = _new_keys(store, row, environment, today=today, everything=everything)
    while batch := list(islice(keys, BATCH)):
        found = [manifest for key in batch if (manifest := _read(store, key, environment)) is not None]
        damaged += len(batch) - len(found)
        parts += len(found)
        _record(row, environment, found, today=today)
    _turn_of_day(row, environment, today=today)
    return Recorded(parts, damaged)


def _new_keys(
    store: Store, feed: Feed, environment: str, *, today: date, everything: bool
) -> Iterator[PartKey]:
    known = ArchivePart.objects.filter(feed=feed, environment=environment)
    days = None if everything else _growing_days(feed, environment, today)
    if days is None:
        prefixes = [f"{escape(feed.name)}/"]
    else:
        prefixes = [parts_prefix(feed.name, on) for on in days]
        known = known.filter(date__in=days)
    have = set(known.values_list("key", flat=True))
    for prefix in prefixes:
        for name in store.list(prefix):
            key = parse_manifest_key(name)
            if key is not None and key.data not in have:
                yield key


def _growing_days(feed: Feed, environment: str, today: date) -> list[date] | None:
    """Days whose parts may not all be known; None: all days."""
    known = ArchivePart.objects.filter(feed=feed, environment=environment)
    last = known.aggregate(last=Max("date"))["last"]
    if last is None:
        return None
    days = set(days_between(min(last, today - timedelta(days=1)), today))
    for stopped in _silent_sessions(known, today):
        days |= {stopped, stopped + timedelta(days=1)}
    return sorted(days)


def _silent_sessions(known: Any, today: date) -> Iterator[date]:
    """The last known day of each session that went silent before yesterday without an end."""
    recent = known.filter(date__gte=today - timedelta(days=OPEN_SESSION_DAYS))
    last_days = recent.values_list("session").annotate(last=Max("date"))
    silent = {session: last for session, last in last_days if last < today - timedelta(days=1)}
    if not silent:
        return
    for session, kept in recent.filter(session__in=silent).exclude(marks=[]).values_list("session", "marks"):
        if any(mark["data"]["mark"] == "session_end" for mark in kept):
            silent.pop(session, None)
    yield from silent.values()


def _read(store: Store, key: PartKey, environment: str) -> PartManifest | None:
    """One bad manifest must not hide the others."""
    try:
        manifest = read_manifest(store, key)
    except Damaged as error:
        log.error("manifest cannot be read", key=key.manifest, error=str(error))
        return None
    if manifest.environment != environment:
        log.error("manifest of another environment", key=key.manifest, environment=manifest.environment)
        return None
    return manifest


@transaction.atomic
def _record(feed: Feed, environment: str, found: Sequence[PartManifest], *, today: date) -> None:
    # One writer for each feed at a time: what follows reads all rows of a day and writes their sums.
    Feed.objects.select_for_update().get(pk=feed.pk)
    ArchivePart.objects.bulk_create([_part_row(feed, manifest) for manifest in found], ignore_conflicts=True)
    days = {manifest.key.on for manifest in found}
    for on in days:
        tickers = {ticker for manifest in found if manifest.key.on == on for ticker in manifest.tickers}
        _recount(feed, on, tickers, today=today)
    ready = [at.recv_ns for manifest in found for at in manifest.marks if _is_ready(at)]
    sessions = {manifest.session for manifest in found if manifest.marks}
    if sessions:
        renew_gaps(feed, environment, sessions | sessions_touched(feed, ready), today=today)
    count_gaps(feed, days)


def _is_ready(at: MarkAt) -> bool:
    return isinstance(at.decode(), marks.ConnectionReady)


def _part_row(feed: Feed, manifest: PartManifest) -> ArchivePart:
    return ArchivePart(
        feed=feed,
        environment=manifest.environment,
        date=manifest.key.on,
        session=manifest.session,
        first_n=manifest.first_n,
        last_n=manifest.last_n,
        key=manifest.key.data,
        rows=manifest.rows,
        raw_bytes=manifest.raw_bytes,
        stored_bytes=manifest.stored_bytes,
        sha256=manifest.sha256,
        first_ns=manifest.first_recv_ns,
        last_ns=manifest.last_recv_ns,
        connector_version=manifest.connector_version,
        processor_version=manifest.shipper_version,
        marks=msgspec.json.decode(msgspec.json.encode(manifest.marks)),
    )


def _recount(feed: Feed, on: date, tickers: set[str], *, today: date) -> None:
    """The day's raw row, from all its parts. By bulk operations: a recount writes no audit row."""
    parts = ArchivePart.objects.filter(feed=feed, date=on)
    inventory = _raw_row(feed, on)
    have = set(inventory.symbols.values_list("ticker", flat=True))
    InventorySymbol.objects.bulk_create(
        [InventorySymbol(inventory=inventory, ticker=ticker) for ticker in sorted(tickers - have)],
        ignore_conflicts=True,
    )
    latest = parts.order_by("-last_ns")[0]
    sums = parts.aggregate(
        rows=Sum("rows"), stored=Sum("stored_bytes"), first=Min("first_ns"), last=Max("last_ns")
    )
    DataInventory.objects.filter(pk=inventory.pk).update(
        symbol_count=inventory.symbols.count(),
        record_count=sums["rows"],
        byte_size=sums["stored"],
        first_timestamp=instant(sums["first"]),
        last_timestamp=instant(sums["last"]),
        status=DataInventory.Status.PROCESSING if on >= today else DataInventory.Status.PARTIAL,
        connector_version=latest.connector_version,
        processor_version=latest.processor_version,
        processed_at=timezone.now(),
    )


def _raw_row(feed: Feed, on: date) -> DataInventory:
    identity = {"feed": feed, "data_type": DataInventory.DataType.RAW, "date": on, "schema_version": None}
    row = DataInventory.objects.filter(**identity).first()
    if row is None:
        row = DataInventory(
            **identity, storage_path=day_prefix(feed.name, on), status=DataInventory.Status.PROCESSING
        )
        DataInventory.objects.bulk_create([row])
        DataGap.objects.filter(feed=feed, date=on, inventory=None).update(inventory=row)
    return row


def _turn_of_day(feed: Feed, environment: str, *, today: date) -> None:
    """A day that is over is no longer in the making; a loss that goes on reaches into the new day."""
    raw = DataInventory.objects.filter(feed=feed, data_type=DataInventory.DataType.RAW)
    stale = raw.filter(date__lt=today, status=DataInventory.Status.PROCESSING)
    going_on = DataGap.objects.filter(feed=feed, gap_end=None, date__lt=today)
    if not stale.exists() and not going_on.exists():
        return
    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=feed.pk)
        stale.update(status=DataInventory.Status.PARTIAL)
        renew_gaps(feed, environment, set(going_on.values_list("session", flat=True)), today=today)

"""Turns manifests of provisional normalized parts into rows: normalized_parts and data_inventory.

Every row follows from manifests alone: repeating and overlapping these calls leads to the same rows. Once a day is
sealed, its inventory row is the seal's.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice

import structlog
from django.db import transaction
from django.db.models import Max, Min, QuerySet, Sum
from django.utils import timezone

from archive.files import Damaged
from archive.gap_rows import instant
from archive.inventory import BATCH, Recorded
from archive.layout import EventsKey, days_between, events_prefix, parse_events_key
from archive.normalized_manifest import EventsManifest
from archive.normalized_message import SCHEMAS
from archive.normalized_read import read_manifest
from archive.plan import start_of
from archive.store import Store, place_of
from registry.models import CaptureSession, DataInventory, DataQualityIssue, Feed, NormalizedPart, SealedDay
from registry.quality import SEVERITIES
from streaming.subjects import escape

log = structlog.get_logger()


def record_new_normalized_parts(
    store: Store, feed: str, environment: str, *, everything: bool = False, now: datetime | None = None
) -> Recorded:
    """Make rows of the manifests that are not yet in the database.

    Looks at the days that may still grow, or at all (`everything`, or when it knows none).
    """
    row = Feed.objects.get(name=feed)
    today = (now or timezone.now()).date()
    parts = damaged = 0
    keys = _new_keys(store, row, environment, today=today, everything=everything)
    while batch := list(islice(keys, BATCH)):
        found = [manifest for key in batch if (manifest := _read(store, key, environment)) is not None]
        damaged += len(batch) - len(found)
        parts += len(found)
        if found:
            _record(store, row, found, today=today)
    _normalized(row).filter(date__lt=today, status=DataInventory.Status.PROCESSING).update(
        status=DataInventory.Status.PARTIAL
    )
    return Recorded(parts, damaged)


def _new_keys(
    store: Store, feed: Feed, environment: str, *, today: date, everything: bool
) -> Iterator[EventsKey]:
    known = NormalizedPart.objects.filter(feed=feed, environment=environment)
    last = None if everything else known.aggregate(last=Max("date"))["last"]
    if last is None:
        prefixes = [f"{escape(feed.name)}/{schema}/_parts/" for schema in SCHEMAS]
    else:
        days = days_between(min(last, today - timedelta(days=1)), today)
        prefixes = [events_prefix(feed.name, schema, on) for schema in SCHEMAS for on in days]
        known = known.filter(date__gte=days[0])
    have = set(known.values_list("key", flat=True))
    for prefix in prefixes:
        for name in store.list(prefix):
            key = None if name in have else parse_events_key(name)
            if key is not None:
                yield key


def _read(store: Store, key: EventsKey, environment: str) -> EventsManifest | None:
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
def _record(store: Store, feed: Feed, found: Sequence[EventsManifest], *, today: date) -> None:
    # One writer for each feed at a time: what follows reads all rows of a day and writes their sums.
    Feed.objects.select_for_update().get(pk=feed.pk)
    NormalizedPart.objects.bulk_create(
        [_part_row(feed, manifest) for manifest in found], ignore_conflicts=True
    )
    latest = {(manifest.date, manifest.schema): manifest for manifest in found}
    for manifest in latest.values():
        _recount(store, feed, manifest, today=today)
    for on in {manifest.date for manifest in found if manifest.quarantine}:
        _tell_quarantined(feed, on)


def _part_row(feed: Feed, manifest: EventsManifest) -> NormalizedPart:
    return NormalizedPart(
        feed=feed,
        environment=manifest.environment,
        date=manifest.date,
        schema_version=manifest.schema,
        key=manifest.key.manifest,
        stream_epoch=manifest.epoch,
        first_seq=manifest.first_seq,
        last_seq=manifest.last_seq,
        rows=manifest.rows,
        quarantined=manifest.quarantine.rows if manifest.quarantine else 0,
        bytes=manifest.stored_bytes,
        first_ns=manifest.first_recv_ns,
        last_ns=manifest.last_recv_ns,
    )


def _tell_quarantined(feed: Feed, on: date) -> None:
    """What of the bus could not be read that day is an issue of it, with the first object that holds some."""
    parts = NormalizedPart.objects.filter(feed=feed, date=on, quarantined__gt=0).order_by("key")
    inventory = DataInventory.objects.filter(feed=feed, date=on, data_type=DataInventory.DataType.RAW).first()
    first = parts[0]
    place = parse_events_key(first.key)
    row = DataQualityIssue(
        inventory=inventory,
        feed=feed,
        date=on,
        issue_type=DataQualityIssue.Type.QUARANTINED,
        severity=SEVERITIES["quarantined"],
        count=parts.aggregate(total=Sum("quarantined"))["total"],
        sample_data={"object": place.quarantine if place else first.key},
        detected_at=instant(max(first.last_ns, start_of(on))),
    )
    DataQualityIssue.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["feed", "date", "session", "issue_type"],
        update_fields=["inventory", "severity", "count", "sample_data", "detected_at"],
    )


def _recount(store: Store, feed: Feed, latest: EventsManifest, *, today: date) -> None:
    """The day's row, from all its parts; an event that came twice counts twice until the day is sealed."""
    on, schema = latest.date, latest.schema
    parts = NormalizedPart.objects.filter(feed=feed, date=on, schema_version=schema, rows__gt=0)
    if not parts.exists() or SealedDay.objects.filter(feed=feed, date=on).exists():
        return
    sums = parts.aggregate(rows=Sum("rows"), stored=Sum("bytes"), first=Min("first_ns"), last=Max("last_ns"))
    identity = {"date": on, "schema_version": schema}
    if not _normalized(feed).filter(**identity).exists():
        row = DataInventory(
            feed=feed,
            data_type=DataInventory.DataType.NORMALIZED,
            storage_path=place_of(store, events_prefix(feed.name, schema, on)),
            status=DataInventory.Status.PROCESSING,
            **identity,
        )
        DataInventory.objects.bulk_create([row])
    _normalized(feed).filter(**identity).update(
        record_count=sums["rows"],
        byte_size=sums["stored"],
        first_timestamp=instant(sums["first"]),
        last_timestamp=instant(sums["last"]),
        status=DataInventory.Status.PROCESSING if on >= today else DataInventory.Status.PARTIAL,
        processor_version=latest.archiver_version[:32],
        processed_at=timezone.now(),
        **_known_of_raw(feed, latest),
    )


def _known_of_raw(feed: Feed, latest: EventsManifest) -> dict[str, object]:
    """What provisional parts do not state and the raw archive's rows do; nothing where those are not there yet."""
    raw = DataInventory.objects.filter(
        feed=feed, date=latest.date, data_type=DataInventory.DataType.RAW
    ).first()
    sessions = CaptureSession.objects.filter(session__in=latest.sessions).exclude(connector_version="")
    newest = sessions.order_by("-started_at").first()
    markets: dict[str, object] = {} if raw is None else {"symbol_count": raw.symbols.count()}
    return markets if newest is None else {**markets, "connector_version": newest.connector_version[:32]}


def _normalized(feed: Feed) -> QuerySet[DataInventory]:
    return DataInventory.objects.filter(feed=feed, data_type=DataInventory.DataType.NORMALIZED)

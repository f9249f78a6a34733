"""Rows of sealed days: the versions, their inventory rows and quality issues, from committed day manifests."""

import hashlib
from collections.abc import Collection
from datetime import date

import structlog
from django.utils import timezone

from archive import layout, seal_manifest
from archive.files import Damaged
from archive.gap_rows import instant
from archive.known_sessions import Archived
from archive.seal_manifest import DayManifest, QualityCount
from archive.store import place_of
from registry.models import DataInventory, DataQualityIssue, Feed, SealedDay
from registry.quality import SEVERITIES
from streaming.subjects import escape

log = structlog.get_logger()

_MOST_SAMPLE = 2_000
_OF_OTHERS = (DataQualityIssue.Type.INTEGRITY, DataQualityIssue.Type.QUARANTINED)
_SEALED = (
    "environment",
    "is_partial",
    "committed_at",
    "plan_sha256",
    "manifest_key",
    "manifest_sha256",
    "previous_sha256",
    "raw_records",
    "normalized_records",
    "overlap_count",
    "nats_lost_count",
    "raw_bytes",
    "normalized_bytes",
)


def record_sealed(archived: Archived, on: date) -> DayManifest | None:
    """Make the rows of every committed version of a day; returns the latest. Harmless to repeat; raises Damaged.

    A version is committed after it was read back: it counts as verified until `data verify` says otherwise.
    """
    latest = None
    for version in seal_manifest.versions(archived.store, archived.feed.name, on):
        key = layout.seal_key(archived.feed.name, on, version)
        data = archived.store.get(key)
        latest = seal_manifest.decode(data, DayManifest, key=key)
        if latest.environment != archived.environment:
            raise Damaged(f"{key} is of environment {latest.environment}")
        _sealed_row(archived, latest, key, hashlib.sha256(data).hexdigest())
    if latest is not None:
        _normalized_row(archived, latest)
        _issues(archived, latest)
    return latest


def _sealed_row(archived: Archived, manifest: DayManifest, key: str, sha256: str) -> None:
    row = SealedDay(
        feed=archived.feed,
        environment=manifest.environment,
        date=manifest.date,
        version=manifest.version,
        is_partial=manifest.is_partial,
        committed_at=instant(manifest.sealed_ns),
        plan_sha256=manifest.plan_sha256,
        manifest_key=key,
        manifest_sha256=sha256,
        previous_sha256=manifest.previous,
        raw_records=manifest.raw_rows,
        normalized_records=sum(manifest.events.values()),
        overlap_count=manifest.overlap,
        nats_lost_count=manifest.nats_lost,
        raw_bytes=manifest.stored_bytes,
        normalized_bytes=sum(shard.stored_bytes for shard in manifest.shards),
        verified_at=instant(manifest.sealed_ns),
        verify_result="ok",
    )
    # What a later `data verify` found stays: it is not among the fields that are written again.
    SealedDay.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["feed", "date", "version"], update_fields=_SEALED
    )


def _normalized_row(archived: Archived, manifest: DayManifest) -> None:
    kind = DataInventory.DataType.NORMALIZED
    identity = {
        "feed": archived.feed,
        "data_type": kind,
        "date": manifest.date,
        "schema_version": manifest.schema,
    }
    if not DataInventory.objects.filter(**identity).exists():
        DataInventory.objects.bulk_create(
            [
                DataInventory(
                    **identity,
                    storage_path=_place(archived, manifest),
                    status=DataInventory.Status.PARTIAL,
                )
            ]
        )
    DataInventory.objects.filter(**identity).update(
        storage_path=_place(archived, manifest),
        symbol_count=manifest.markets,
        record_count=sum(manifest.events.values()),
        byte_size=sum(shard.stored_bytes for shard in manifest.shards),
        first_timestamp=instant(manifest.first_recv_ns),
        last_timestamp=instant(manifest.last_recv_ns),
        connector_version=manifest.connector_version[:32],
        processor_version=manifest.code_version[:32],
        processed_at=instant(manifest.sealed_ns),
    )


def _place(archived: Archived, manifest: DayManifest) -> str:
    """Below it lie folder, day and ticker."""
    return place_of(archived.normalized, f"{escape(manifest.feed)}/{manifest.schema}/")


def _issues(archived: Archived, manifest: DayManifest) -> None:
    """What the seal counted; what others found (`_OF_OTHERS`) is not of the manifest, and stays."""
    feed, on = archived.feed, manifest.date
    rows = [_issue(archived, manifest, one) for one in manifest.quality]
    DataQualityIssue.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["feed", "date", "session", "issue_type"],
        update_fields=["inventory", "severity", "count", "n", "sample_data", "detected_at"],
    )
    counted: Collection[tuple[str, str]] = {(row.session, row.issue_type) for row in rows}
    known = DataQualityIssue.objects.filter(feed=feed, date=on)
    gone = [
        row.pk
        for row in known.exclude(issue_type__in=_OF_OTHERS)
        if (row.session, row.issue_type) not in counted and row.detected_at <= instant(manifest.sealed_ns)
    ]
    DataQualityIssue.objects.filter(pk__in=gone).delete()


def note_unsealed(feed: Feed, on: date, result: str) -> None:
    """What a verification found of a day that has no sealed version to say it of; empty: nothing."""
    known = DataQualityIssue.objects.filter(
        feed=feed, date=on, issue_type=DataQualityIssue.Type.INTEGRITY, sample_data__has_key="verify"
    )
    known.delete()
    if result:
        DataQualityIssue.objects.update_or_create(
            feed=feed,
            date=on,
            session="",
            issue_type=DataQualityIssue.Type.INTEGRITY,
            defaults={
                "severity": DataQualityIssue.Severity.ERROR,
                "sample_data": {"verify": "verification", "error": result},
                "detected_at": timezone.now(),
            },
        )


def _issue(archived: Archived, manifest: DayManifest, one: QualityCount) -> DataQualityIssue:
    raw = DataInventory.objects.filter(
        feed=archived.feed, date=manifest.date, data_type=DataInventory.DataType.RAW
    ).first()
    return DataQualityIssue(
        inventory=raw,
        feed=archived.feed,
        date=manifest.date,
        session=one.session,
        issue_type=one.issue,
        severity=SEVERITIES.get(one.issue, DataQualityIssue.Severity.WARNING),
        count=one.count,
        n=one.n,
        sample_data={"sample": one.sample[:_MOST_SAMPLE]},
        detected_at=instant(manifest.sealed_ns),
    )

"""Rows as the archive would write them, with columns changed by name."""

from datetime import UTC, date, datetime
from typing import Any

from registry.models import CaptureSession, DataQualityIssue, Feed, NormalizedPart, SealedDay

DAY = date(2025, 12, 14)
START = datetime(2025, 12, 14, 10, tzinfo=UTC)


def issue(feed: Feed, **columns: Any) -> DataQualityIssue:
    given = {"date": DAY, "issue_type": "duplicate", "severity": "warning", **columns}
    return DataQualityIssue.objects.create(feed=feed, **given)


def session(feed: Feed, **columns: Any) -> CaptureSession:
    given = {
        "session": "kraken-1",
        "environment": "demo",
        "environment_version": 1,
        "config_hash": "x",
        "feed_version": "v1",
        "connector_version": "1.0",
        "started_at": START,
        "last_n": 9,
        "records": 9,
        **columns,
    }
    return CaptureSession.objects.create(feed=feed, **given)


def sealed(feed: Feed, **columns: Any) -> SealedDay:
    given = {
        "environment": "demo",
        "date": DAY,
        "version": 1,
        "committed_at": START,
        "plan_sha256": "p",
        "manifest_key": "k",
        "manifest_sha256": "m",
        "raw_records": 9,
        "normalized_records": 8,
        "raw_bytes": 90,
        "normalized_bytes": 80,
        **columns,
    }
    return SealedDay.objects.create(feed=feed, **given)


def part(feed: Feed, **columns: Any) -> NormalizedPart:
    given = {
        "environment": "demo",
        "date": DAY,
        "key": "a",
        "stream_epoch": "1",
        "first_seq": 1,
        "last_seq": 9,
        "rows": 9,
        "bytes": 90,
        "first_ns": 1,
        "last_ns": 2,
        **columns,
    }
    return NormalizedPart.objects.create(feed=feed, **given)

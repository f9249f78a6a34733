"""Inventory and gap rows cannot be doubled, and recounts write no history."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection

from registry.models import ArchivePart, DataGap, DataInventory, Feed, SchemaVersion

DAY = date(2025, 12, 14)
START = datetime(2025, 12, 14, 10, tzinfo=UTC)


def inventory(feed: Feed, **columns: Any) -> DataInventory:
    given = {"data_type": "raw", "date": DAY, "storage_path": "x", "status": "processing", **columns}
    return DataInventory.objects.create(feed=feed, **given)


def gap(feed: Feed, **columns: Any) -> DataGap:
    given = {"session": "kraken-1", "gap_number": 7, "date": DAY, "gap_start": START, **columns}
    return DataGap.objects.create(feed=feed, gap_type="connection_lost", **given)


def test_raw_rows_without_schema_version_are_unique(feed: Feed) -> None:
    inventory(feed)

    with pytest.raises(IntegrityError):
        inventory(feed)


def test_normalized_rows_are_unique_by_schema_version(feed: Feed) -> None:
    inventory(feed, data_type="normalized", schema_version="v1")
    inventory(feed, data_type="normalized", schema_version="v2")

    with pytest.raises(IntegrityError):
        inventory(feed, data_type="normalized", schema_version="v2")


def test_a_score_above_one_is_refused(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        inventory(feed, quality_score="1.01")


def test_a_gap_has_one_row_a_day(feed: Feed) -> None:
    gap(feed)
    gap(feed, date=date(2025, 12, 15))

    with pytest.raises(IntegrityError):
        gap(feed)


def test_an_open_gap_has_no_end(feed: Feed) -> None:
    closed, still_open = gap(feed, gap_end=START), gap(feed, gap_number=8)

    assert list(DataGap.objects.open()) == [still_open] != [closed]


def test_a_gap_does_not_end_before_it_begins(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        gap(feed, gap_end=datetime(2025, 12, 14, 9, tzinfo=UTC))


def test_a_part_of_a_session_is_known_once(feed: Feed) -> None:
    columns = {"environment": "demo", "date": DAY, "session": "s", "first_n": 1, "last_n": 9, "rows": 9}
    sizes = {"raw_bytes": 9, "stored_bytes": 9, "sha256": "x", "first_ns": 1, "last_ns": 2}
    ArchivePart.objects.create(feed=feed, key="a", **columns, **sizes)

    with pytest.raises(IntegrityError):
        ArchivePart.objects.create(feed=feed, key="b", **columns, **sizes)


def test_a_recount_by_update_writes_no_history(feed: Feed) -> None:
    row = inventory(feed)

    DataInventory.objects.filter(pk=row.pk).update(record_count=5)

    assert row.history.count() == 1


def test_the_design_s_schema_query_runs_as_written(feed: Feed) -> None:
    Feed.objects.filter(pk=feed.pk).update(name="kalshi")
    SchemaVersion.objects.create(name="trade", version="v1", format="capnp", effective_from=DAY)
    inventory(feed, data_type="normalized", schema_version="v1")

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT sv.* FROM schema_versions sv
            JOIN data_inventory di ON di.schema_version = sv.version
            WHERE di.feed_id = (SELECT id FROM feeds WHERE name = 'kalshi')
              AND di.date = '2025-12-14'
              AND di.data_type = 'normalized';"""
        )
        assert len(cursor.fetchall()) == 1

"""Rows of sessions, sealed days, provisional parts and quality issues cannot be doubled or contradict themselves."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection

from registry.models import DataInventory, DataQualityIssue, Feed
from tests.registry.rows import DAY, issue, part, sealed, session


@pytest.mark.parametrize("session", ["", "kraken-1"], ids=["day", "session"])
def test_an_issue_has_one_row_a_day_session_and_type(feed: Feed, session: str) -> None:
    issue(feed, session=session)
    issue(feed, session=session, issue_type="out_of_order")
    issue(feed, session=session, date=date(2025, 12, 15))

    with pytest.raises(IntegrityError):
        issue(feed, session=session)


def test_an_issue_happened_at_least_once(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        issue(feed, count=0)


def test_a_recount_overwrites_an_issue(feed: Feed) -> None:
    issue(feed)
    again = DataQualityIssue(feed=feed, date=DAY, issue_type="duplicate", severity="error", count=7, n=3)

    DataQualityIssue.objects.bulk_create(
        [again],
        update_conflicts=True,
        unique_fields=["feed", "date", "session", "issue_type"],
        update_fields=["severity", "count", "n", "sample_data"],
    )

    assert list(DataQualityIssue.objects.values_list("severity", "count", "n")) == [("error", 7, 3)]


def test_the_design_s_columns_of_an_issue_are_enough_with_a_feed_and_a_day(feed: Feed) -> None:
    row = DataInventory.objects.create(
        feed=feed, data_type="raw", date=DAY, storage_path="x", status="partial"
    )

    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO data_quality_issues (inventory_id, feed_id, date, issue_type, severity) "
            "VALUES (%s, %s, %s, 'duplicate', 'error')",
            [row.pk, feed.pk, DAY],
        )

    assert [(one.count, one.session) for one in row.quality_issues.all()] == [(1, "")]


def test_a_session_is_known_once(feed: Feed) -> None:
    session(feed)

    with pytest.raises(IntegrityError):
        session(feed)


@pytest.mark.parametrize(
    "columns", [{"last_n": 0}, {"ended_at": datetime(2025, 12, 14, 9, tzinfo=UTC)}], ids=["n", "end"]
)
def test_a_session_does_not_end_before_it_begins(feed: Feed, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        session(feed, **columns)


def test_a_day_is_sealed_once_under_each_version(feed: Feed) -> None:
    sealed(feed)
    sealed(feed, version=2)

    with pytest.raises(IntegrityError):
        sealed(feed, version=2)


def test_versions_of_a_sealed_day_count_from_one(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        sealed(feed, version=0)


def test_a_provisional_part_is_known_once(feed: Feed) -> None:
    part(feed)

    with pytest.raises(IntegrityError):
        part(feed)


def test_a_provisional_part_does_not_end_before_it_begins(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        part(feed, last_seq=0)

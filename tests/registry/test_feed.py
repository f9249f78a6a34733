"""Feeds and their versions by day."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from registry.models import Feed, FeedVersion
from registry.refusal import ExitCode, Refused


def version(feed: Feed, name: str, start: str, end: str | None = None, **columns: Any) -> FeedVersion:
    return FeedVersion(
        feed=feed,
        version=name,
        effective_from=date.fromisoformat(start),
        effective_to=date.fromisoformat(end) if end else None,
        protocol="wss",
        endpoint_template=f"wss://{name}.example/ws",
        **columns,
    )


def test_the_end_of_a_period_is_no_longer_in_force(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01", "2026-05-07").save()
    version(feed, "v2", "2026-05-07").save()

    assert [feed.version_on(date(2026, 5, day)).version for day in (6, 7)] == ["v1", "v2"]


def test_an_instant_is_looked_up_on_its_utc_day(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01", "2026-05-07").save()
    late = datetime.fromisoformat("2026-05-07T01:00:00+02:00")

    assert feed.version_on(late).version == "v1"


def test_a_time_without_zone_is_refused(feed: Feed) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        feed.version_on(datetime(2026, 5, 7))


def test_before_the_first_version_the_refusal_names_it(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01").save()

    with pytest.raises(Refused, match="first version, v1, is in force from 2025-01-01") as refusal:
        feed.version_on(date(2024, 12, 31))

    assert refusal.value.exit_code == ExitCode.NOT_FOUND


def test_after_the_last_version_the_refusal_names_its_end(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01", "2025-02-01").save()

    with pytest.raises(Refused, match="v1 ended on 2025-02-01"):
        feed.version_on(date(2025, 3, 1))


OVERLAPS = [
    ("2025-06-01", None),
    ("2025-06-01", "2025-06-02"),
    ("2024-01-01", "2025-01-02"),
    ("2024-01-01", None),
    ("2025-12-31", "2027-01-01"),
]


@pytest.mark.parametrize(("start", "end"), OVERLAPS)
def test_overlapping_versions_are_refused_by_the_database(feed: Feed, start: str, end: str | None) -> None:
    version(feed, "v1", "2025-01-01", "2026-01-01").save()

    with pytest.raises(IntegrityError):
        version(feed, "v2", start, end).save()


@pytest.mark.parametrize(("start", "end"), OVERLAPS)
def test_overlapping_versions_are_refused_by_forms(feed: Feed, start: str, end: str | None) -> None:
    version(feed, "v1", "2025-01-01", "2026-01-01").save()

    with pytest.raises(ValidationError, match="overlaps"):
        version(feed, "v2", start, end).full_clean()


def test_an_overlap_by_plain_sql_is_refused_too(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01", "2026-01-01").save()
    version(feed, "v2", "2026-01-01").save()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE feed_versions SET effective_to = '2026-02-01' WHERE version = 'v1'")


def test_versions_of_two_feeds_may_overlap(feed: Feed) -> None:
    other = Feed.objects.create(name="other", feed_type="websocket")
    version(feed, "v1", "2025-01-01").save()

    version(other, "v1", "2025-01-01").save()

    assert FeedVersion.objects.as_of(date(2025, 1, 1)).count() == 2


def test_a_period_must_end_after_it_began(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        version(feed, "v1", "2025-01-01", "2025-01-01").save()


def test_a_revision_closes_the_present_version_and_opens_the_next(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01").save()

    feed.revise(effective_from=date(2026, 1, 1), reason="moved", endpoint_template="wss://new.example/ws")

    rows = feed.versions.values_list("version", "effective_to", "endpoint_template")
    assert list(rows) == [
        ("v1", date(2026, 1, 1), "wss://v1.example/ws"),
        ("v2", None, "wss://new.example/ws"),
    ]


def test_a_second_revision_on_one_day_amends_the_first_and_history_keeps_both(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01").save()
    feed.revise(effective_from=date(2026, 1, 1), reason="moved", endpoint_template="wss://a.example/ws")

    amended = feed.revise(
        effective_from=date(2026, 1, 1), reason="typo", endpoint_template="wss://b.example/ws"
    )

    history = amended.history.order_by("history_id").values_list("endpoint_template", "history_change_reason")
    assert list(history) == [("wss://a.example/ws", "moved"), ("wss://b.example/ws", "typo")]


def test_a_revision_of_the_past_is_refused(feed: Feed) -> None:
    version(feed, "v1", "2025-01-01").save()

    with pytest.raises(Refused, match="would change the past"):
        feed.revise(effective_from=date(2024, 1, 1), reason="late")


@pytest.mark.parametrize("name", ["Kalshi", "kalshi.sim", "a b", "", "-x", "kalshi\n"])
def test_a_feed_name_that_cannot_be_a_subject_token_is_refused(db: None, name: str) -> None:
    with pytest.raises(ValidationError):
        Feed(name=name, feed_type="websocket").full_clean()


def test_the_design_s_as_of_query_runs_as_written(feed: Feed) -> None:
    Feed.objects.filter(pk=feed.pk).update(name="kalshi")
    version(feed, "v1", "2025-01-01", "2026-05-07").save()
    version(feed, "v2", "2026-05-07").save()

    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT * FROM feed_versions
            WHERE feed_id = (SELECT id FROM feeds WHERE name = 'kalshi')
              AND effective_from <= '2025-12-01'
              AND (effective_to IS NULL OR effective_to > '2025-12-01');"""
        )
        rows = cursor.fetchall()
        names = [column[0] for column in cursor.description]

    assert [dict(zip(names, row, strict=True))["version"] for row in rows] == ["v1"]


class TestRevisions(TestCase):
    """For any series of revisions, one version is in force on each day, and it is the latest one begun."""

    @settings(max_examples=10, deadline=None)
    @given(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    def test_as_of_equals_a_naive_model(self, steps: list[int]) -> None:
        first = date(2025, 1, 1)
        feed = Feed.objects.create(name="model", feed_type="websocket")
        version(feed, "v1", first.isoformat()).save()
        begun = {first: "v1"}
        for step in steps:
            day = max(begun) + timedelta(days=step)
            begun[day] = feed.revise(effective_from=day, reason="step").version

        for offset in range(-2, sum(steps) + 3):
            day = first + timedelta(days=offset)
            expected = [begun[max(start for start in begun if start <= day)]] if day >= first else []
            assert [row.version for row in feed.versions.as_of(day)] == expected


def test_default_values_are_the_database_s_own_as_well(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO feeds (name, feed_type) VALUES ('sql', 'rest')")

    row = Feed.objects.get(name="sql")

    assert (row.status, row.simulated, row.venue) == ("active", False, "")
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(minutes=5)

"""`ssmd data inventory|gaps`."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from registry.models import DataGap, DataInventory, Feed

Ssmd = Callable[..., Any]


@pytest.fixture
def days(ssmd: Ssmd) -> Feed:
    feed = Feed.objects.get(name="kalshi-sim")
    for day, status, size, score, gaps in (
        (1, "complete", 523_000_000, "0.99", 0),
        (3, "partial", 531_000_000, "0.95", 2),
        (14, "processing", None, None, 0),
    ):
        columns = {"feed": feed, "date": date(2025, 12, day), "status": status, "storage_path": "x"}
        DataInventory.objects.create(
            **columns, data_type="raw", byte_size=size, quality_score=score, gap_count=gaps
        )
        if size:
            DataInventory.objects.create(
                **columns,
                data_type="normalized",
                schema_version="v2",
                byte_size=size * 3 // 5,
                record_count=1_234_567,
                symbol_count=7,
                quality_score="1.00",
            )
    return feed


def test_the_table_has_a_line_a_day_and_shows_days_that_are_missing(ssmd: Ssmd, days: Feed) -> None:
    assert ssmd("data", "inventory", "--to", "2025-12-15").out == (
        "Feed: kalshi-sim\n"
        "Date Range: 2025-12-01 to 2025-12-15\n"
        "\n"
        "Date        Raw    Normalized  Status          Quality  Gaps\n"
        "2025-12-01  523MB  314MB       complete        0.99     0\n"
        "2025-12-02  -      -           missing         -        -\n"
        "2025-12-03  531MB  319MB       partial         0.95     2\n"
        "2025-12-04  -      -           missing         -        -\n"
        "...         -      -           8 days missing  -        -\n"
        "2025-12-13  -      -           missing         -        -\n"
        "2025-12-14  -      -           processing      -        -\n"
        "2025-12-15  -      -           missing         -        -\n"
    )


def test_the_wide_table_counts_records_and_markets(ssmd: Ssmd, days: Feed) -> None:
    lines = ssmd("data", "inventory", "--wide", "--to", "2025-12-01").out.splitlines()

    assert lines[3:] == [
        "Date        Raw    Normalized  Status    Quality  Gaps  Captured  Records    Markets",
        "2025-12-01  523MB  314MB       complete  0.99     0     -         1,234,567  7",
    ]


def test_only_days_of_a_status_are_shown_when_asked_for(ssmd: Ssmd, days: Feed) -> None:
    lines = ssmd("data", "inventory", "--status", "partial").out.splitlines()

    assert lines[4:] == ["2025-12-03  531MB  319MB       partial  0.95     2"]


def test_the_json_has_a_row_for_each_column_of_the_table(ssmd: Ssmd, days: Feed) -> None:
    rows = ssmd("data", "inventory", "--json", "--feed", "kalshi-sim").data

    assert len(rows) == 5
    assert {
        "feed_id",
        "data_type",
        "date",
        "schema_version",
        "record_count",
        "byte_size",
        "gap_count",
    } <= rows[0].keys()
    assert rows[1]["quality_score"] == 0.99


def test_days_and_status_are_filtered(ssmd: Ssmd, days: Feed) -> None:
    some = ssmd("data", "inventory", "--from", "2025-12-02", "--to", "2025-12-03", "--json").data
    partial = ssmd("data", "inventory", "--status", "partial", "--json").data

    assert {row["date"] for row in some} == {row["date"] for row in partial} == {"2025-12-03"}


def test_days_in_the_wrong_order_are_a_usage_error(ssmd: Ssmd) -> None:
    assert ssmd("data", "inventory", "--from", "2025-12-02", "--to", "2025-12-01").code == 2


def test_an_unknown_feed_is_refused(ssmd: Ssmd) -> None:
    answers = [ssmd("data", verb, "--feed", "kalsi") for verb in ("inventory", "gaps", "quality")]

    assert [answer.code for answer in answers] == [4, 4, 4]
    assert all("Did you mean 'kalshi'?" in answer.err for answer in answers)


def test_gaps_are_listed_in_order_of_time(ssmd: Ssmd, days: Feed) -> None:
    for hour, number in ((10, 9), (9, 4)):
        start = datetime(2025, 12, 3, hour, tzinfo=UTC)
        DataGap.objects.create(
            feed=days,
            date=start.date(),
            gap_start=start,
            gap_type="connection_lost",
            session="s",
            gap_number=number,
        )

    rows = ssmd("data", "gaps", "--date", "2025-12-03", "--json").data

    assert [(row["gap_number"], row["gap_start"], row["gap_end"]) for row in rows] == [
        (4, "2025-12-03T09:00:00Z", None),
        (9, "2025-12-03T10:00:00Z", None),
    ]
    assert ssmd("data", "gaps", "--date", "2025-12-14", "--json").data == []


def test_no_gaps_are_claimed_of_a_day_of_which_nothing_is_recorded(ssmd: Ssmd, days: Feed) -> None:
    nothing = ssmd("data", "gaps", "--date", "2025-12-04")

    assert (nothing.code, nothing.out) == (4, "")
    assert "Nothing is recorded of kalshi-sim on 2025-12-04" in nothing.err


def test_a_gap_says_how_long_it_was_and_why(ssmd: Ssmd, days: Feed) -> None:
    start = datetime(2025, 12, 3, 10, tzinfo=UTC)
    DataGap.objects.create(
        feed=days,
        date=start.date(),
        gap_start=start,
        gap_end=start + timedelta(seconds=2.5),
        gap_type="connection_lost",
        session="s",
        gap_number=1,
        detail={
            "code": 1006,
            "reason": "connection reset",
            "after_n": 9,
            "channel": "trade",
            "trades_healed": 5,
        },
    )

    row = ssmd("data", "gaps").out.splitlines()[1]

    assert row.split("  ", 1)[1].split() == (
        [
            "2.500",
            "s",
            "connection_lost",
            "trade",
            "unknown",
            "no",
            "no",
            "all",
            "code",
            "1006,",
            "connection",
            "reset,",
            "trades",
            "fetched",
            "since:",
            "5",
        ]
    )


def test_no_gaps_are_said_in_words_only_to_people(ssmd: Ssmd) -> None:
    assert (ssmd("data", "gaps").out, ssmd("data", "gaps", "-o", "ndjson").out) == ("No gaps.\n", "")

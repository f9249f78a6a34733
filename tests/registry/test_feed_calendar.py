"""Calendars of a feed by day, and what the database refuses."""

from datetime import date, time
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from registry.calendar import DAY_NS, NS, Calendar, midnight_ns
from registry.models import Feed, FeedCalendar, MaintenanceWindow
from registry.refusal import Refused

DAY = date(2026, 7, 9)  # a Thursday
THURSDAY = MaintenanceWindow.Weekday.THURSDAY


def calendar(feed: Feed, start: str = "2025-01-01", end: str | None = None, **columns: Any) -> FeedCalendar:
    days = {"effective_from": date.fromisoformat(start), "effective_to": date.fromisoformat(end or start)}
    if end is None:
        del days["effective_to"]
    return FeedCalendar(feed=feed, **days, **columns)


def maintained(feed: Feed, *hours: int, **columns: Any) -> FeedCalendar:
    row = calendar(feed, **columns)
    row.save()
    row.maintenance_windows.create(weekday=THURSDAY, start_time=time(hours[0]), end_time=time(hours[1]))
    return row


def test_a_calendar_of_the_database_is_the_same_calendar(feed: Feed) -> None:
    maintained(feed, 3, 5, timezone="America/New_York", holiday_calendar="crypto_247")

    assert feed.calendars.on(DAY).trading_seconds(DAY) == 79_200


def test_a_feed_without_calendar_is_traded_around_the_clock(feed: Feed) -> None:
    calendar(feed, "2027-01-01").save()

    assert feed.calendars.on(DAY) == Calendar()
    assert feed.calendars.planned(midnight_ns(DAY), midnight_ns(DAY) + DAY_NS) == []


def test_windows_over_a_change_of_calendar_are_each_by_their_own(feed: Feed) -> None:
    maintained(feed, 23, 2, end="2026-07-10")
    calendar(feed, "2026-07-10").save()
    start = midnight_ns(DAY)

    [window] = feed.calendars.planned(start, start + 2 * DAY_NS)

    assert (window.start_ns, window.end_ns) == (start + 23 * 3600 * NS, start + DAY_NS)


def test_calendars_of_one_feed_do_not_overlap(feed: Feed) -> None:
    calendar(feed).save()

    with pytest.raises(ValidationError, match="overlaps"):
        calendar(feed, "2026-01-01").full_clean()
    with pytest.raises(IntegrityError):
        calendar(feed, "2026-01-01").save()


@pytest.mark.parametrize(
    "hours", [{"open_time": time(9)}, {"close_time": time(9)}, {"open_time": time(9), "close_time": time(9)}]
)
def test_hours_are_both_or_none_and_differ(feed: Feed, hours: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="both given and differ"):
        calendar(feed, timezone="UTC", **hours).full_clean()
    with pytest.raises(IntegrityError):
        calendar(feed, timezone="UTC", **hours).save()


def test_a_period_must_end_after_it_began(feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        calendar(feed, "2026-01-01", "2026-01-01").save()


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"timezone": "New York"}, "'New York' is no time zone"),
        ({"holiday_calendar": "us_equity"}, "'us_equity' are not known"),
        ({"open_time": time(9, 0, 0, 5), "close_time": time(17)}, "fraction of a second"),
    ],
)
def test_what_cannot_be_counted_is_refused_when_written(feed: Feed, columns: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        calendar(feed, **columns).full_clean()


def test_unknown_holidays_written_by_plain_sql_are_refused_when_counted(feed: Feed) -> None:
    calendar(feed, holiday_calendar="us_equity").save()

    with pytest.raises(Refused, match="not known here"):
        feed.calendars.on(DAY)


def test_a_maintenance_window_has_a_length_and_a_weekday(feed: Feed) -> None:
    row = calendar(feed)
    row.save()
    same = MaintenanceWindow(calendar=row, weekday=3, start_time=time(3), end_time=time(3))
    no_day = MaintenanceWindow(calendar=row, weekday=7, start_time=time(3), end_time=time(4))

    for window in (same, no_day):
        with pytest.raises(ValidationError):
            window.full_clean()


def test_edits_of_a_calendar_are_kept(feed: Feed) -> None:
    row = calendar(feed)
    row.save()
    row.timezone = "UTC"
    row.save()

    assert list(row.history.values_list("timezone", flat=True)) == ["UTC", None]

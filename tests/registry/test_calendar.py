"""Planned windows are exact over both clock changes, and with trading they tile every day."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.calendar import DAY_NS, NS, Calendar, Weekly, Window, midnight_ns
from registry.refusal import ExitCode, Refused

NEW_YORK = "America/New_York"
THURSDAY, SUNDAY = 3, 6
KALSHI = Calendar(zone=NEW_YORK, maintenance=(Weekly(THURSDAY, time(3), time(5)),), holidays="crypto_247")
SPRING, AUTUMN = date(2026, 3, 8), date(2026, 11, 1)  # 2:00 becomes 3:00, and 2:00 becomes 1:00


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS


def written(windows: list[Window]) -> list[tuple[str, str]]:
    return [(minute(window.start_ns), minute(window.end_ns)) for window in windows]


def minute(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS, UTC):%d %H:%M}"


def on(calendar: Calendar, day: date) -> list[tuple[str, str]]:
    """What is planned on a UTC day."""
    return written(calendar.planned(midnight_ns(day), midnight_ns(day) + DAY_NS))


def sunday(start: str, end: str) -> Calendar:
    weekly = Weekly(SUNDAY, time.fromisoformat(start), time.fromisoformat(end))
    return Calendar(zone=NEW_YORK, maintenance=(weekly,))


@pytest.mark.parametrize(
    ("day", "window"),
    [(date(2026, 1, 8), ("08 08:00", "08 10:00")), (date(2026, 7, 9), ("09 07:00", "09 09:00"))],
    ids=["winter", "summer"],
)
def test_weekly_maintenance_is_at_a_local_time(day: date, window: tuple[str, str]) -> None:
    assert on(KALSHI, day) == [window]
    assert KALSHI.trading_seconds(day) == 79_200


def test_other_days_are_traded_around_the_clock() -> None:
    assert [KALSHI.trading_seconds(date(2026, 7, day)) for day in (8, 10)] == [86_400, 86_400]


def test_a_window_holds_its_start_and_not_its_end() -> None:
    moments = ["06:59:59", "07:00:00", "08:59:59", "09:00:00"]

    assert [KALSHI.is_open(ns(f"2026-07-09T{at}Z")) for at in moments] == [True, False, False, True]


@pytest.mark.parametrize(
    ("hours", "window"),
    [
        (("01:30", "03:30"), ("08 06:30", "08 07:30")),  # an hour of it does not exist
        (("02:30", "05:00"), ("08 07:00", "08 09:00")),  # its start is jumped over: at the jump
        (("01:00", "02:30"), ("08 06:00", "08 07:00")),
        (("03:00", "05:00"), ("08 07:00", "08 09:00")),
    ],
)
def test_in_spring_a_window_that_begins_or_ends_in_the_jump_does_so_at_it(
    hours: tuple[str, str], window: tuple[str, str]
) -> None:
    assert on(sunday(*hours), SPRING) == [window]


def test_in_spring_a_window_inside_the_jump_does_not_happen() -> None:
    assert on(sunday("02:15", "02:45"), SPRING) == []


@pytest.mark.parametrize(
    ("hours", "window"),
    [
        (("00:30", "03:00"), ("01 04:30", "01 08:00")),  # an hour of it comes twice
        (("01:15", "01:45"), ("01 05:15", "01 05:45")),  # the first of both
        (("01:30", "04:00"), ("01 05:30", "01 09:00")),
        (("02:00", "04:00"), ("01 07:00", "01 09:00")),
    ],
)
def test_in_autumn_a_time_that_comes_twice_is_the_first_of_the_two(
    hours: tuple[str, str], window: tuple[str, str]
) -> None:
    assert on(sunday(*hours), AUTUMN) == [window]


def test_outside_its_hours_a_venue_is_closed() -> None:
    exchange = Calendar(zone=NEW_YORK, hours=(time(9, 30), time(16)))

    assert on(exchange, date(2026, 7, 9)) == [("09 00:00", "09 13:30"), ("09 20:00", "10 00:00")]


def test_hours_over_midnight_belong_to_the_day_they_begin_on() -> None:
    futures = Calendar(zone="America/Chicago", hours=(time(17), time(16)))

    assert on(futures, date(2026, 7, 9)) == [("09 21:00", "09 22:00")]


def test_maintenance_within_closed_hours_is_called_maintenance() -> None:
    calendar = Calendar(hours=(time(8), time(0)), maintenance=(Weekly(THURSDAY, time(3), time(5)),))

    windows = calendar.planned(midnight_ns(date(2026, 7, 9)), midnight_ns(date(2026, 7, 10)))

    assert [(window.why, (window.end_ns - window.start_ns) // (3600 * NS)) for window in windows] == [
        ("closed", 3),
        ("maintenance", 2),
        ("closed", 3),
    ]


def test_maintenance_within_maintenance_ends_with_the_longer() -> None:
    long, short = Weekly(THURSDAY, time(3), time(9)), Weekly(THURSDAY, time(4), time(5))

    assert on(Calendar(maintenance=(short, long)), date(2026, 7, 9)) == [("09 03:00", "09 09:00")]


def test_a_window_is_cut_to_what_was_asked() -> None:
    assert written(KALSHI.planned(ns("2026-07-09T08:00Z"), ns("2026-07-09T08:30Z"))) == [
        ("09 08:00", "09 08:30")
    ]
    assert KALSHI.planned(ns("2026-07-09T08:30Z"), ns("2026-07-09T08:00Z")) == []


@pytest.mark.parametrize("holidays", ["us_equity", "custom"])
def test_holidays_whose_dates_are_unknown_are_refused_and_never_ignored(holidays: str) -> None:
    with pytest.raises(Refused, match=f"'{holidays}' are not known") as refusal:
        Calendar(holidays=holidays)

    assert refusal.value.exit_code == ExitCode.UNAVAILABLE


minutes = st.integers(0, 24 * 60 - 1).map(lambda minute: time(*divmod(minute, 60)))
periods = st.tuples(minutes, minutes).filter(lambda period: period[0] != period[1])
calendars = st.builds(
    Calendar,
    zone=st.sampled_from(
        [NEW_YORK, "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"]
    ),
    hours=st.none() | periods,
    maintenance=st.lists(
        st.builds(lambda weekday, period: Weekly(weekday, *period), st.integers(0, 6), periods), max_size=3
    ).map(tuple),
)
# The day that Samoa skipped (2011-12-30), and the midnight that came twice in Newfoundland (2010-11-07).
days = st.dates(date(2010, 1, 1), date(2027, 12, 31)) | st.sampled_from(
    [
        SPRING,
        AUTUMN,
        date(2010, 11, 6),
        date(2010, 11, 7),
        date(2026, 3, 29),
        date(2026, 10, 25),
        date(2011, 12, 30),
        date(2011, 12, 31),
    ]
)


@given(calendars, days)
def test_windows_and_trading_tile_every_day(calendar: Calendar, day: date) -> None:
    start = midnight_ns(day)
    windows = calendar.planned(start, start + DAY_NS)
    edges = [start, *(at for window in windows for at in (window.start_ns, window.end_ns)), start + DAY_NS]

    assert edges == sorted(edges)
    assert all(window.start_ns < window.end_ns for window in windows)
    closed = sum(window.end_ns - window.start_ns for window in windows)
    assert calendar.trading_seconds(day) * NS + closed == DAY_NS


@given(calendars, days, st.integers(0, 86_399))
def test_a_window_of_two_days_is_the_windows_of_each(calendar: Calendar, day: date, second: int) -> None:
    start, cut = midnight_ns(day), midnight_ns(day) + second * NS
    end = start + 2 * DAY_NS

    def length(windows: list[Window]) -> int:
        return sum(window.end_ns - window.start_ns for window in windows)

    parts = length(calendar.planned(start, cut)) + length(calendar.planned(cut, end))
    assert parts == length(calendar.planned(start, end))


@given(calendars, days, st.integers(0, 86_399))
def test_away_from_clock_changes_the_wall_clock_decides(calendar: Calendar, day: date, second: int) -> None:
    at = datetime.combine(day, time(), UTC) + timedelta(seconds=second)
    zone = ZoneInfo(calendar.zone)
    near = {(at + timedelta(hours=hours)).astimezone(zone).utcoffset() for hours in (-50, -25, 0, 25)}
    if len(near) > 1:
        return

    assert calendar.is_open(midnight_ns(day) + second * NS) == by_the_clock(calendar, at.astimezone(zone))


def by_the_clock(calendar: Calendar, local: datetime) -> bool:
    """The same question, asked in the plainest way."""

    def between(start: time, end: time) -> tuple[bool, bool]:
        """Whether it is so since today, or still since yesterday."""
        now = local.time()
        return (start <= now < end, False) if end > start else (now >= start, now < end)

    yesterday = (local.weekday() - 1) % 7
    for weekday, start, end in calendar.maintenance:
        today, since_yesterday = between(start, end)
        if (today and weekday == local.weekday()) or (since_yesterday and weekday == yesterday):
            return False
    return calendar.hours is None or any(between(*calendar.hours))

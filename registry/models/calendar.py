"""When a feed's venue trades, by day, and when it is under maintenance every week."""

import zoneinfo
from datetime import date, datetime, time

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from registry.calendar import Calendar, Weekly, Window, midnight_ns, unknown_holidays
from registry.models.feed import Feed
from registry.temporal import NoOverlap, TemporalQuerySet


def known_zone(name: str) -> None:
    """Refuse a name that the time zone database does not know."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"'{name}' is no time zone; write one like America/New_York or UTC.")


def whole_seconds(at: time) -> None:
    """Refuse a fraction of a second, which no coverage figure could show."""
    if at.microsecond:
        raise ValidationError(f"{at} has a fraction of a second.")


class FeedCalendarQuerySet(TemporalQuerySet["FeedCalendar"]):
    """Calendars of one feed, by day; a day that none is in force on is traded around the clock."""

    def on(self, moment: date | datetime) -> Calendar:
        """The calendar of that UTC day as plain values."""
        row = self.as_of(moment).prefetch_related("maintenance_windows").first()
        return Calendar() if row is None else row.plain()

    def planned(self, start_ns: int, end_ns: int) -> list[Window]:
        """The planned windows between two instants, each by the calendar in force on its UTC day."""
        found: list[Window] = []
        for row in self.order_by("effective_from").prefetch_related("maintenance_windows"):
            begun = midnight_ns(row.effective_from)
            ended = end_ns if row.effective_to is None else midnight_ns(row.effective_to)
            first, last = max(start_ns, begun), min(end_ns, ended)
            if first < last:
                found += row.plain().planned(first, last)
        return found


class FeedCalendar(models.Model):
    """A venue's trading hours, in force from `effective_from` until before `effective_to`."""

    class Holidays(models.TextChoices):
        """Which days have no trading at all."""

        US_EQUITY = "us_equity", "us_equity: weekends and holidays of the US stock exchanges"
        CRYPTO_247 = "crypto_247", "crypto_247: none, every day is traded"
        CUSTOM = "custom", "custom: the venue's own list"

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="calendars")
    effective_from = models.DateField()
    effective_to = models.DateField(
        null=True, blank=True, help_text="The first day it is no longer in force."
    )

    timezone = models.CharField(
        max_length=64,
        null=True,
        blank=True,
        validators=[known_zone],
        help_text="Of the hours and the maintenance windows, e.g. America/New_York; none: UTC.",
    )
    open_time = models.TimeField(
        null=True,
        blank=True,
        validators=[whole_seconds],
        help_text="None, with close_time: around the clock.",
    )
    close_time = models.TimeField(
        null=True,
        blank=True,
        validators=[whole_seconds],
        help_text="Before open_time: on the next day; 00:00 is midnight at its end.",
    )
    holiday_calendar = models.CharField(max_length=64, choices=Holidays, null=True, blank=True)

    _change_reason: str | None = None  # what django-simple-history writes beside the next save

    objects = FeedCalendarQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "feed_calendars"
        ordering = ["feed", "effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["feed", "effective_from"], name="feed_calendars_one_a_day"),
            models.CheckConstraint(
                condition=Q(effective_to=None) | Q(effective_to__gt=F("effective_from")),
                name="feed_calendars_period",
                violation_error_message="effective_to must be after effective_from.",
            ),
            models.CheckConstraint(
                condition=Q(open_time=None, close_time=None)
                | (Q(open_time__isnull=False, close_time__isnull=False) & ~Q(open_time=F("close_time"))),
                name="feed_calendars_hours",
                violation_error_message=(
                    "open_time and close_time are both given and differ, or both left out: around the clock."
                ),
            ),
            NoOverlap(
                name="feed_calendars_no_overlap", owner="feed", start="effective_from", end="effective_to"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feed.name} from {self.effective_from}"

    def clean(self) -> None:
        """What could not be counted later is refused when it is written."""
        if self.holiday_calendar not in (None, "", self.Holidays.CRYPTO_247):
            reason = unknown_holidays(self.holiday_calendar)
            raise ValidationError({"holiday_calendar": f"{reason.problem}. {reason.remedy}"})

    def plain(self) -> Calendar:
        """The hours and windows as plain values; refused where the dates of its holidays are unknown."""
        hours = (
            None if self.open_time is None or self.close_time is None else (self.open_time, self.close_time)
        )
        windows = self.maintenance_windows.all()
        weekly = tuple(Weekly(row.weekday, row.start_time, row.end_time) for row in windows)
        return Calendar(self.timezone or "UTC", hours, weekly, self.holiday_calendar or None)


class MaintenanceWindow(models.Model):
    """A time of each week when the venue does not trade; what is lost in it was planned."""

    class Weekday(models.IntegerChoices):
        """As `datetime.weekday()` counts."""

        MONDAY = 0
        TUESDAY = 1
        WEDNESDAY = 2
        THURSDAY = 3
        FRIDAY = 4
        SATURDAY = 5
        SUNDAY = 6

    calendar = models.ForeignKey(FeedCalendar, models.PROTECT, related_name="maintenance_windows")
    weekday = models.PositiveSmallIntegerField(
        choices=Weekday, help_text="The day it starts, in the calendar's zone."
    )
    start_time = models.TimeField(validators=[whole_seconds], help_text="In the calendar's time zone.")
    end_time = models.TimeField(
        validators=[whole_seconds],
        help_text="In the calendar's time zone; before start_time: on the next day.",
    )
    note = models.TextField(blank=True, default="", db_default="")

    history = HistoricalRecords()

    class Meta:
        db_table = "maintenance_windows"
        ordering = ["calendar", "weekday", "start_time"]
        constraints = [
            models.UniqueConstraint(
                fields=["calendar", "weekday", "start_time"], name="maintenance_windows_start"
            ),
            models.CheckConstraint(condition=Q(weekday__lte=6), name="maintenance_windows_weekday"),
            models.CheckConstraint(
                condition=~Q(start_time=F("end_time")),
                name="maintenance_windows_length",
                violation_error_message="end_time must differ from start_time.",
            ),
        ]

    def __str__(self) -> str:
        day = self.Weekday(self.weekday).label
        return f"{day} {self.start_time:%H:%M}-{self.end_time:%H:%M}"

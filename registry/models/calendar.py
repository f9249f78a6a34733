"""When a feed's venue trades, by day, and when it is under maintenance every week."""

import zoneinfo
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from simple_history.models import HistoricalRecords

from registry.models.feed import Feed
from registry.temporal import NoOverlap, TemporalQuerySet


def known_zone(name: str) -> None:
    """Refuse a name that the time zone database does not know."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"'{name}' is no time zone; write one like America/New_York or UTC.")


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
    open_time = models.TimeField(null=True, blank=True, help_text="None, with close_time: around the clock.")
    close_time = models.TimeField(
        null=True, blank=True, help_text="Before open_time: on the next day; 00:00 is midnight at its end."
    )
    holiday_calendar = models.CharField(max_length=64, choices=Holidays, null=True, blank=True)

    _change_reason: str | None = None  # what django-simple-history writes beside the next save

    objects = TemporalQuerySet["FeedCalendar"].as_manager()
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
    start_time = models.TimeField(help_text="In the calendar's time zone.")
    end_time = models.TimeField(help_text="In the calendar's time zone; before start_time: on the next day.")
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


def calendar_on(feed: Feed, moment: date | datetime) -> FeedCalendar | None:
    """The feed's calendar in force on that UTC day, with its windows; None when none is registered."""
    in_force = FeedCalendar.objects.as_of(moment).filter(feed=feed)
    return in_force.select_related("feed").prefetch_related("maintenance_windows").first()

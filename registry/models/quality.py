"""What is wrong with recorded data, counted by day, session and kind; rows follow from the archive."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.models.feed import Feed
from registry.models.inventory import DataInventory


class DataQualityIssue(models.Model):
    """One kind of defect in one session's data of one day: how often, and the first sample of it."""

    class Type(models.TextChoices):
        DUPLICATE = "duplicate"
        OUT_OF_ORDER = "out_of_order"
        MISSING_FIELD = "missing_field"
        PARSE_ERROR = "parse_error"
        CROSSED_BOOK = "crossed_book"
        NEGATIVE_SIZE = "negative_size"
        OFF_GRID_PRICE = "off_grid_price"
        TIME_SKEW = "time_skew"
        WIRE_DRIFT = "wire_drift"
        BOOK_DRIFT = "book_drift"
        CLOCK_STEP = "clock_step"
        QUARANTINED = "quarantined"
        INTEGRITY = "integrity"

    class Severity(models.TextChoices):
        ERROR = "error"
        WARNING = "warning"
        INFO = "info"

    inventory = models.ForeignKey(
        DataInventory, models.SET_NULL, null=True, blank=True, related_name="quality_issues"
    )
    feed = models.ForeignKey(Feed, models.PROTECT, related_name="quality_issues")
    date = models.DateField()
    session = models.CharField(
        max_length=128, blank=True, default="", db_default="", help_text="Empty: of the whole day."
    )
    issue_type = models.CharField(max_length=32, choices=Type)
    severity = models.CharField(max_length=16, choices=Severity)
    count = models.IntegerField(default=1, db_default=1)
    n = models.BigIntegerField(
        null=True, blank=True, help_text="The record of the session that the sample comes from."
    )
    sample_data = models.JSONField(null=True, blank=True, help_text="The first case, and what to look for.")
    detected_at = models.DateTimeField(default=timezone.now, db_default=Now())

    history = HistoricalRecords()

    class Meta:
        db_table = "data_quality_issues"
        ordering = ["-date", "feed", "issue_type", "session"]
        indexes = [models.Index(fields=["feed", "date"], name="idx_quality_issues_feed_date")]
        constraints = [
            # What counts the defects of a day anew writes over the same rows.
            models.UniqueConstraint(
                fields=["feed", "date", "session", "issue_type"], name="data_quality_issues_one_a_session"
            ),
            models.CheckConstraint(condition=Q(count__gte=1), name="data_quality_issues_count"),
        ]

    def __str__(self) -> str:
        return f"{self.count} x {self.issue_type} on {self.date}"

"""What was archived, and what was lost.

Rows follow from the archive's manifests and marks, every few seconds. A recount must not
write an audit row each time: it goes through `QuerySet.update` or `bulk_update`, which
keep no history; `save()` is for people (a note, an accepted gap) and does.
"""

from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.models.feed import Feed

# Why something may be lost (docs/gaps.md); a later venue may add its own, so the column takes any.
GAP_TYPES = (
    "connection_lost",
    "auth_failed",
    "rate_limited",
    "sequence_gap",
    "data_stall",
    "subscription_incomplete",
    "missed_trade",
    "venue_overflow",
    "buffer_overflow",
    "capture_loss",
    "oversize_frame",
    "oversize_event",
    "buffer_overflow",
    "process_crash",
    "exchange_outage",
    "exchange_paused",
    "planned_teardown",
    "planned_maintenance",
    "stream_hole",
)


class DataInventory(models.Model):
    """What the archive holds of one feed and one UTC day."""

    class DataType(models.TextChoices):
        RAW = "raw"
        NORMALIZED = "normalized"

    class Status(models.TextChoices):
        COMPLETE = "complete"
        PARTIAL = "partial"
        FAILED = "failed"
        PROCESSING = "processing"

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="inventory")
    data_type = models.CharField(max_length=32, choices=DataType)
    date = models.DateField()

    storage_path = models.TextField()
    schema_version = models.CharField(max_length=32, null=True, blank=True, help_text="NULL for raw data.")

    symbol_count = models.IntegerField(null=True, blank=True)
    record_count = models.BigIntegerField(null=True, blank=True)
    byte_size = models.BigIntegerField(null=True, blank=True)
    first_timestamp = models.DateTimeField(null=True, blank=True)
    last_timestamp = models.DateTimeField(null=True, blank=True)

    status = models.CharField(max_length=16, choices=Status)
    gap_count = models.IntegerField(default=0, db_default=0)
    quality_score = models.DecimalField(max_digits=3, decimal_places=2, null=True, blank=True)
    captured_share = models.DecimalField(
        max_digits=5,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="Of the trading time: every channel was captured.",
    )

    connector_version = models.CharField(max_length=32, null=True, blank=True)
    processor_version = models.CharField(max_length=32, null=True, blank=True)
    processed_at = models.DateTimeField(null=True, blank=True)

    history = HistoricalRecords()

    class Meta:
        db_table = "data_inventory"
        ordering = ["-date", "feed", "data_type"]
        verbose_name_plural = "data inventory"
        constraints = [
            models.UniqueConstraint(
                fields=["feed", "data_type", "date", "schema_version"], name="data_inventory_one_a_day"
            ),
            # NULLs are distinct to a unique index: raw rows, which have no schema version, need their own.
            # A partial index says it on both databases; `nulls_distinct=False` would be skipped on SQLite.
            models.UniqueConstraint(
                fields=["feed", "data_type", "date"],
                condition=Q(schema_version=None),
                name="data_inventory_one_raw_a_day",
            ),
            models.CheckConstraint(
                condition=Q(quality_score=None) | Q(quality_score__gte=0, quality_score__lte=1),
                name="data_inventory_score",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feed.name} {self.data_type} {self.date}"


class InventorySymbol(models.Model):
    """A ticker that an inventory row holds data of: `symbol_count` is their number."""

    inventory = models.ForeignKey(DataInventory, models.CASCADE, related_name="symbols")
    ticker = models.CharField(max_length=200)

    class Meta:
        db_table = "inventory_symbols"
        constraints = [
            models.UniqueConstraint(fields=["inventory", "ticker"], name="inventory_symbols_ticker")
        ]

    def __str__(self) -> str:
        return self.ticker


class ArchivePart(models.Model):
    """A committed raw part, as its manifest states it: which records of a session it holds."""

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="archive_parts")
    environment = models.CharField(max_length=64)
    date = models.DateField()
    session = models.CharField(max_length=128)
    first_n = models.BigIntegerField()
    last_n = models.BigIntegerField()
    key = models.CharField(max_length=512, unique=True)
    rows = models.BigIntegerField()
    raw_bytes = models.BigIntegerField(help_text="Before compression.")
    stored_bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    first_ns = models.BigIntegerField(help_text="Unix ns of its first record's receipt.")
    last_ns = models.BigIntegerField(help_text="Unix ns of its last record's receipt.")
    connector_version = models.CharField(max_length=32, blank=True)
    processor_version = models.CharField(max_length=32, blank=True)
    marks = models.JSONField(
        default=list, blank=True, help_text="The marks that gaps and coverage follow from."
    )
    ingested_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "archive_parts"
        ordering = ["-date", "session", "first_n"]
        indexes = [models.Index(fields=["feed", "date"], name="idx_archive_parts_feed_date")]
        constraints = [
            models.UniqueConstraint(fields=["session", "first_n"], name="archive_parts_first_n"),
            models.CheckConstraint(condition=Q(last_n__gte=F("first_n")), name="archive_parts_range"),
        ]

    def __str__(self) -> str:
        return f"{self.session} {self.first_n}-{self.last_n}"


class DataGapQuerySet(models.QuerySet["DataGap"]):
    """Gaps, by what is still to be done about them."""

    def open(self) -> Self:
        """Losses that go on."""
        return self.filter(gap_end=None)


class DataGap(models.Model):
    """A loss, or the part of it that lies on one UTC day; `gap_end` is NULL while it goes on."""

    class Fault(models.TextChoices):
        EXCHANGE = "exchange"
        NETWORK = "network"
        OURS = "ours"
        UNKNOWN = "unknown"

    inventory = models.ForeignKey(DataInventory, models.SET_NULL, null=True, blank=True, related_name="gaps")
    feed = models.ForeignKey(Feed, models.PROTECT, related_name="gaps")
    date = models.DateField(help_text="The UTC day: a gap over midnight is one row a day.")
    gap_start = models.DateTimeField()
    gap_end = models.DateTimeField(null=True, blank=True)
    gap_type = models.CharField(max_length=32)
    session = models.CharField(max_length=128)
    gap_number = models.BigIntegerField(help_text="The n of the mark that opened it.")
    connection = models.IntegerField(null=True, blank=True)
    sid = models.IntegerField(null=True, blank=True)
    symbols = models.JSONField(default=list, blank=True, help_text="Empty: the whole feed.")
    planned = models.BooleanField(default=False, db_default=False)
    healable = models.BooleanField(default=False, db_default=False)
    fault = models.CharField(
        max_length=16, choices=Fault, default=Fault.UNKNOWN, db_default=Fault.UNKNOWN.value
    )
    detail = models.JSONField(default=dict, blank=True)
    resolved = models.BooleanField(
        default=False, db_default=False, help_text="Healed or accepted, not merely over."
    )
    resolved_at = models.DateTimeField(null=True, blank=True)
    notes = models.TextField(null=True, blank=True)

    objects = DataGapQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "data_gaps"
        ordering = ["-gap_start"]
        indexes = [models.Index(fields=["feed", "date"], name="idx_data_gaps_feed_date")]
        constraints = [
            models.UniqueConstraint(fields=["session", "gap_number", "date"], name="data_gaps_number_a_day"),
            models.CheckConstraint(
                condition=Q(gap_end=None) | Q(gap_end__gte=F("gap_start")), name="data_gaps_period"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.gap_type} from {self.gap_start:%Y-%m-%d %H:%M:%S}"

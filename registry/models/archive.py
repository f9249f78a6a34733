"""What the archive's manifests say of sessions, sealed days and today's normalized parts.

Rows follow from committed objects alone, so that they can be made anew from them; no history is kept.
"""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from registry.models.feed import Feed


class CaptureSession(models.Model):
    """One run of one connector, from its start mark to its end mark; `ended_at` is NULL while it runs."""

    session = models.CharField(max_length=128, unique=True)
    feed = models.ForeignKey(Feed, models.PROTECT, related_name="capture_sessions")
    environment = models.CharField(max_length=64)
    environment_version = models.PositiveIntegerField()
    config_hash = models.CharField(max_length=64)
    feed_version = models.CharField(max_length=32)
    connector_version = models.CharField(max_length=32)
    subscribe = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="What it sent with each subscription."
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    end_reason = models.CharField(max_length=64, blank=True, default="", db_default="")
    first_n = models.BigIntegerField(default=1, db_default=1)
    last_n = models.BigIntegerField(help_text="The last record that is committed.")
    records = models.BigIntegerField(help_text="Committed records: all from first_n to last_n, or some lack.")

    class Meta:
        db_table = "capture_sessions"
        ordering = ["-started_at"]
        indexes = [models.Index(fields=["feed", "started_at"], name="idx_capture_sessions_started")]
        constraints = [
            models.CheckConstraint(condition=Q(last_n__gte=F("first_n")), name="capture_sessions_range"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("started_at")), name="capture_sessions_period"
            ),
        ]

    def __str__(self) -> str:
        return self.session


class SealedDay(models.Model):
    """A version of a day's final archive; each day manifest names the hash of the one before."""

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="sealed_days")
    environment = models.CharField(max_length=64)
    date = models.DateField()
    version = models.PositiveIntegerField()
    is_partial = models.BooleanField(
        default=False, db_default=False, help_text="Sealed before the day was over."
    )
    committed_at = models.DateTimeField()
    plan_sha256 = models.CharField(max_length=64)
    manifest_key = models.CharField(max_length=512)
    manifest_sha256 = models.CharField(max_length=64)
    previous_sha256 = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of the day manifest before; empty: the first.",
    )
    raw_records = models.BigIntegerField()
    normalized_records = models.BigIntegerField()
    overlap_count = models.BigIntegerField(
        default=0, db_default=0, help_text="Records that two sessions saw."
    )
    nats_lost_count = models.BigIntegerField(
        null=True, help_text="Events in the raw archive that the bus did not deliver; NULL: not measured."
    )
    raw_bytes = models.BigIntegerField()
    normalized_bytes = models.BigIntegerField()
    verified_at = models.DateTimeField(null=True, blank=True)
    verify_result = models.TextField(blank=True, default="", db_default="", help_text="ok, or what is wrong.")

    class Meta:
        db_table = "sealed_days"
        ordering = ["-date", "feed", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["feed", "date", "version"], name="sealed_days_version"),
            models.CheckConstraint(condition=Q(version__gte=1), name="sealed_days_from_one"),
        ]

    def __str__(self) -> str:
        return f"{self.feed.name} {self.date} v{self.version}"


class NormalizedPart(models.Model):
    """Events of today as they came over the bus: provisional, until the day is sealed from raw."""

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="normalized_parts")
    environment = models.CharField(max_length=64)
    date = models.DateField()
    schema_version = models.CharField(max_length=32, blank=True, default="", db_default="")
    key = models.CharField(max_length=512, unique=True)
    stream_epoch = models.CharField(max_length=64, help_text="Which life of the stream the numbers are of.")
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    rows = models.BigIntegerField()
    quarantined = models.BigIntegerField(
        default=0, db_default=0, help_text="Messages that could not be read, kept beside its events."
    )
    bytes = models.BigIntegerField(help_text="As stored.")
    first_ns = models.BigIntegerField(help_text="Unix ns of its first event's receipt.")
    last_ns = models.BigIntegerField(help_text="Unix ns of its last event's receipt.")
    ingested_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "normalized_parts"
        ordering = ["-date", "stream_epoch", "first_seq"]
        indexes = [models.Index(fields=["feed", "date"], name="idx_normalized_parts_feed_date")]
        constraints = [
            models.CheckConstraint(condition=Q(last_seq__gte=F("first_seq")), name="normalized_parts_range")
        ]

    def __str__(self) -> str:
        return f"{self.stream_epoch} {self.first_seq}-{self.last_seq}"

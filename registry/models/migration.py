"""Ways from one schema version to another, and each time one was gone for some days of a feed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.models.feed import Feed
from registry.models.schema import SchemaVersion


class Progress(models.TextChoices):
    """How far a migration, or one run of it, has come."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


class SchemaMigration(models.Model):
    """How data of one schema version become data of another; what was executed last stands here."""

    class Type(models.TextChoices):
        AUTOMATIC = "automatic"
        MANUAL = "manual"
        REPROCESS = "reprocess"

    from_version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="migrations_from")
    to_version = models.ForeignKey(SchemaVersion, models.PROTECT, related_name="migrations_to")

    migration_type = models.CharField(max_length=32, choices=Type)
    migration_script = models.TextField(null=True, blank=True, help_text="What to run, e.g. a command.")

    executed_at = models.DateTimeField(null=True, blank=True)
    executed_by = models.CharField(max_length=64, null=True, blank=True)
    status = models.CharField(
        max_length=16, choices=Progress, default=Progress.PENDING, db_default=Progress.PENDING.value
    )

    history = HistoricalRecords()

    class Meta:
        db_table = "schema_migrations"
        ordering = ["from_version", "to_version"]
        constraints = [
            models.UniqueConstraint(fields=["from_version", "to_version"], name="schema_migrations_versions")
        ]

    def __str__(self) -> str:
        return f"{self.from_version} to {self.to_version}"

    @contextmanager
    def run(
        self, feed: Feed, *, first_date: date, last_date: date, by: str
    ) -> Iterator["SchemaMigrationRun"]:
        """Record one execution: running before the block begins, afterwards completed or failed.

        The block fills `report`.
        """
        row = SchemaMigrationRun(
            migration=self, feed=feed, first_date=first_date, last_date=last_date, executed_by=by
        )
        row.note(Progress.RUNNING)
        try:
            yield row
        except BaseException as error:
            row.error_message = f"{type(error).__name__}: {error}".removesuffix(": ")
            row.note(Progress.FAILED)
            raise
        row.note(Progress.COMPLETED)


class SchemaMigrationRun(models.Model):
    """One execution for the days from `first_date` to `last_date`, both included, with its report."""

    migration = models.ForeignKey(SchemaMigration, models.PROTECT, related_name="runs")
    feed = models.ForeignKey(Feed, models.PROTECT, related_name="schema_migration_runs")
    first_date = models.DateField()
    last_date = models.DateField()
    executed_at = models.DateTimeField(default=timezone.now, db_default=Now())
    executed_by = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Progress, default=Progress.RUNNING)
    completed_at = models.DateTimeField(null=True, blank=True)
    error_message = models.TextField(null=True, blank=True)
    report = models.JSONField(
        default=dict, blank=True, db_default={}, help_text="What differs from the version before."
    )

    class Meta:
        db_table = "schema_migration_runs"
        ordering = ["-executed_at", "-id"]
        indexes = [models.Index(fields=["feed", "first_date"], name="idx_migration_runs_feed_date")]
        constraints = [
            models.CheckConstraint(
                condition=Q(last_date__gte=F("first_date")), name="schema_migration_runs_dates"
            )
        ]

    def __str__(self) -> str:
        return f"{self.migration} for {self.feed.name} {self.first_date} to {self.last_date}"

    @transaction.atomic(durable=True)
    def note(self, status: Progress) -> None:
        """Write how far this run has come, here and on the migration; durable, so that a crash leaves it."""
        self.status = status
        self.completed_at = None if status == Progress.RUNNING else max(timezone.now(), self.executed_at)
        self.save()
        migration = self.migration
        migration.status, migration.executed_at = status, self.executed_at
        migration.executed_by = self.executed_by
        migration.save()

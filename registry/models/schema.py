"""Versions of the schemas that normalized data are written in."""

import hashlib
from datetime import date, datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.temporal import utc_day


class SchemaVersionQuerySet(models.QuerySet["SchemaVersion"]):
    """Schemas by day."""

    def as_of(self, moment: date | datetime) -> Self:
        """The versions that may be written on that UTC day: several at once is usual."""
        day = utc_day(moment)
        return self.filter(Q(deprecated_at=None) | Q(deprecated_at__gt=day), effective_from__lte=day)

    def usable(self) -> Self:
        """Drafts and active versions: those a process may write."""
        return self.exclude(status=SchemaVersion.Status.DEPRECATED)


class SchemaVersion(models.Model):
    """One text of one schema, proved by its SHA-256."""

    class Format(models.TextChoices):
        CAPNP = "capnp"
        PROTOBUF = "protobuf"
        JSON_SCHEMA = "json_schema"

    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        DEPRECATED = "deprecated"

    name = models.CharField(max_length=64)
    version = models.CharField(max_length=32)
    format = models.CharField(max_length=32, choices=Format)
    schema_definition = models.TextField()
    schema_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the definition.")
    status = models.CharField(
        max_length=16, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE.value
    )
    effective_from = models.DateField()
    deprecated_at = models.DateField(null=True, blank=True)
    compatible_with = models.JSONField(null=True, blank=True, help_text="Versions whose data it can read.")
    breaking_changes = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    objects = SchemaVersionQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "schema_versions"
        ordering = ["name", "version"]
        constraints = [models.UniqueConstraint(fields=["name", "version"], name="schema_versions_version")]

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"

    @property
    def hash_is_right(self) -> bool:
        """Whether the recorded SHA-256 is that of the definition."""
        return self.schema_hash == sha256(self.schema_definition)

    def clean(self) -> None:
        """The hash follows from the text."""
        self.schema_hash = sha256(self.schema_definition)

    def differs(self, wanted: dict[str, Any]) -> bool:
        """Whether any of these columns has another value."""
        return any(getattr(self, name) != value for name, value in wanted.items())


def sha256(text: str) -> str:
    """The hexadecimal SHA-256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()

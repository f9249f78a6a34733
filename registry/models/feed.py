"""Feeds and how to reach them, by day."""

from datetime import date, datetime
from typing import Any

from django.core.validators import RegexValidator, URLValidator
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.refusal import ExitCode, Reason, Refused
from registry.temporal import NoOverlap, TemporalQuerySet, utc_day

# The first token of every subject, object key and stream name.
FEED_NAME = r"^[a-z0-9][a-z0-9-]*\Z"


class Feed(models.Model):
    """A source of market data; how to reach it is in its versions."""

    class Type(models.TextChoices):
        WEBSOCKET = "websocket"
        REST = "rest"
        MULTICAST = "multicast"

    class Status(models.TextChoices):
        ACTIVE = "active"
        DEPRECATED = "deprecated"
        DISABLED = "disabled"

    name = models.CharField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(FEED_NAME, "A feed's name is made of a-z, 0-9 and -.")],
        help_text="The first token of its subjects, archive keys and stream.",
    )
    display_name = models.CharField(max_length=128, null=True, blank=True)
    description = models.TextField(blank=True, default="", db_default="")
    feed_type = models.CharField(max_length=32, choices=Type)
    venue = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Which adapter speaks it; none: it cannot be started.",
    )
    simulated = models.BooleanField(
        default=False, db_default=False, help_text="Its data come from a simulated exchange."
    )
    status = models.CharField(
        max_length=16, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE.value
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    history = HistoricalRecords()

    class Meta:
        db_table = "feeds"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def version_on(self, moment: date | datetime) -> "FeedVersion":
        """The version in force on that UTC day."""
        day = utc_day(moment)
        version = self.versions.as_of(day).first()
        if version is None:
            raise Refused([self._nothing_in_force(day)], exit_code=ExitCode.NOT_FOUND)
        return version

    def _nothing_in_force(self, day: date) -> Reason:
        first = self.versions.order_by("effective_from").first()
        if first is None:
            return Reason(f"Feed '{self.name}' has no version", "Run `ssmd bootstrap`.")
        if day < first.effective_from:
            remedy = f"Its first version, {first.version}, is in force from {first.effective_from}."
        else:
            last = self.versions.filter(effective_to__lte=day).order_by("-effective_to").first()
            remedy = f"Its version {last.version} ended on {last.effective_to}." if last else ""
        return Reason(f"Feed '{self.name}' has no version in force on {day}", remedy)

    @transaction.atomic
    def revise(self, *, effective_from: date, reason: str, **changes: Any) -> "FeedVersion":
        """Close the present version and open its successor; a second change on one day amends that day's."""
        present = self.versions.select_for_update().get(effective_to=None)
        present._change_reason = reason
        if effective_from < present.effective_from:
            raise Refused(
                [
                    Reason(
                        f"Version {present.version} of '{self.name}' is in force from {present.effective_from}: "
                        f"a revision from {effective_from} would change the past",
                        f"Choose a day after {present.effective_from}.",
                    )
                ]
            )
        return (
            present.amended(changes)
            if effective_from == present.effective_from
            else present.followed_by(effective_from, changes)
        )


class FeedVersion(models.Model):
    """How to reach a feed, in force from `effective_from` until before `effective_to`."""

    class Protocol(models.TextChoices):
        WSS = "wss"
        WS = "ws"
        HTTPS = "https"
        MULTICAST = "multicast"

    class Auth(models.TextChoices):
        API_KEY = "api_key"
        OAUTH = "oauth"
        MTLS = "mtls"

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="versions")
    version = models.CharField(max_length=32)
    effective_from = models.DateField()
    effective_to = models.DateField(
        null=True, blank=True, help_text="The first day it is no longer in force."
    )

    protocol = models.CharField(max_length=32, choices=Protocol)
    endpoint_template = models.TextField(validators=[URLValidator(schemes=["wss", "ws", "https"])])
    auth_method = models.CharField(max_length=32, choices=Auth, null=True, blank=True)
    secret_ref = models.CharField(
        max_length=128,
        null=True,
        blank=True,
        help_text="A reference such as sealed-secret/NAME; never the secret.",
    )

    supports_orderbook = models.BooleanField(default=False, db_default=False)
    supports_trades = models.BooleanField(default=True, db_default=True)
    supports_historical = models.BooleanField(default=False, db_default=False)
    max_symbols_per_connection = models.PositiveIntegerField(null=True, blank=True)
    rate_limit_per_second = models.PositiveIntegerField(null=True, blank=True)

    parser_config = models.JSONField(
        null=True, blank=True, help_text="rest_endpoint, and what the venue's mapper needs."
    )
    subscribe_params = models.JSONField(
        default=dict,
        blank=True,
        db_default={},
        help_text="Sent with each subscribe command, e.g. use_yes_price.",
    )

    _change_reason: str | None = None  # what django-simple-history writes beside the next save

    objects = TemporalQuerySet["FeedVersion"].as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "feed_versions"
        ordering = ["feed", "effective_from"]
        constraints = [
            models.UniqueConstraint(fields=["feed", "effective_from"], name="feed_versions_one_a_day"),
            models.UniqueConstraint(fields=["feed", "version"], name="feed_versions_version"),
            models.CheckConstraint(
                condition=Q(effective_to=None) | Q(effective_to__gt=F("effective_from")),
                name="feed_versions_period",
                violation_error_message="effective_to must be after effective_from.",
            ),
            NoOverlap(
                name="feed_versions_no_overlap", owner="feed", start="effective_from", end="effective_to"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feed.name} {self.version}"

    @property
    def rest_endpoint(self) -> str:
        """The venue's REST base URL, from `parser_config`; empty when it has none."""
        return str((self.parser_config or {}).get("rest_endpoint", ""))

    @property
    def mapper(self) -> str:
        """The id of the mapper that reads its frames, from `parser_config`; empty: that of each day's wire."""
        return str((self.parser_config or {}).get("mapper", ""))

    def amended(self, changes: dict[str, Any]) -> "FeedVersion":
        """This same version with other values: for a second change on its first day."""
        for name, value in changes.items():
            setattr(self, name, value)
        self.full_clean()
        self.save()
        return self

    def followed_by(self, day: date, changes: dict[str, Any]) -> "FeedVersion":
        """Close this version on `day` and open its successor."""
        self.effective_to = day
        self.save()
        copied = {field.attname: getattr(self, field.attname) for field in self._meta.concrete_fields}
        named = {"id": None, "version": self._next_version(), "effective_from": day, "effective_to": None}
        successor = FeedVersion(**{**copied, **named, **changes})
        successor._change_reason = self._change_reason
        successor.full_clean()
        successor.save()
        return successor

    def _next_version(self) -> str:
        return f"v{FeedVersion.objects.filter(feed_id=self.feed_id).count() + 1}"

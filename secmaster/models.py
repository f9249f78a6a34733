"""Markets and every change of them."""

from typing import Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from simple_history.models import HistoricalRecords

from registry.models import Feed


class MarketQuerySet(models.QuerySet["Market"]):
    """Markets by what can be done with them."""

    def of_feed(self, name: str) -> Self:
        """The markets of one feed."""
        return self.filter(feed__name=name)

    def open(self) -> Self:
        """Markets that trade."""
        return self.filter(status=Market.Status.ACTIVE)


class Market(models.Model):
    """A contract that can be traded, as the venue's REST API last described it."""

    class Status(models.TextChoices):
        """All statuses of the venue (`kalshi.md` 4.3); any other is kept out and reported."""

        INITIALIZED = "initialized"
        INACTIVE = "inactive"
        ACTIVE = "active"
        CLOSED = "closed"
        DETERMINED = "determined"
        DISPUTED = "disputed"
        AMENDED = "amended"
        FINALIZED = "finalized"

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="markets")
    ticker = models.CharField(max_length=200)
    kalshi_id = models.CharField(
        max_length=200, help_text="The market's UUID, or its ticker where REST gives none."
    )
    event_ticker = models.CharField(max_length=200, blank=True, default="", db_default="")
    series_ticker = models.CharField(max_length=200, blank=True, default="", db_default="")
    title = models.TextField()
    category = models.CharField(max_length=64, null=True, blank=True)
    status = models.CharField(
        max_length=16, choices=Status, default=Status.ACTIVE, db_default=Status.ACTIVE.value
    )

    open_time = models.DateTimeField(null=True, blank=True)
    close_time = models.DateTimeField(null=True, blank=True)
    expiration_time = models.DateTimeField(null=True, blank=True)
    settlement_time = models.DateTimeField(null=True, blank=True)

    strike_type = models.CharField(max_length=32, blank=True, default="", db_default="")
    floor_strike = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)
    cap_strike = models.DecimalField(max_digits=24, decimal_places=8, null=True, blank=True)

    result = models.CharField(max_length=16, null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    raw_metadata = models.JSONField(
        null=True, blank=True, help_text="As the venue gave it, without prices and volumes."
    )

    objects = MarketQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        db_table = "markets"
        ordering = ["ticker"]
        indexes = [
            models.Index(fields=["ticker"], name="idx_markets_ticker"),
            models.Index(fields=["status"], name="idx_markets_status"),
            models.Index(fields=["expiration_time"], name="idx_markets_expiration"),
        ]
        constraints = [models.UniqueConstraint(fields=["feed", "ticker"], name="markets_ticker_of_feed")]

    def __str__(self) -> str:
        return self.ticker


class MarketHistory(models.Model):
    """One field of one market that changed; never edited."""

    market = models.ForeignKey(Market, models.PROTECT, related_name="changes")
    field_name = models.CharField(max_length=64)
    old_value = models.TextField(null=True, blank=True)
    new_value = models.TextField(null=True, blank=True)
    changed_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        db_table = "market_history"
        ordering = ["-changed_at"]
        verbose_name_plural = "market history"

    def __str__(self) -> str:
        return f"{self.market_id} {self.field_name}"

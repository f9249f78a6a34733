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
    settlement_value = models.DecimalField(
        max_digits=12,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="What the YES side is worth, in dollars.",
    )
    settled_at = models.DateTimeField(null=True, blank=True)

    # Bookkeeping, not facts: no change of these is a change of the market.
    status_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="The time of what set the status; what is older is late.",
    )
    told_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="When the last event that changed it was received."
    )

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
    cause = models.CharField(
        max_length=200, blank=True, default="", db_default="",
        help_text="What said so: an event's identity (its raw line), a sync, a look-up, the clock.",
    )  # fmt: skip

    class Meta:
        db_table = "market_history"
        ordering = ["-changed_at"]
        verbose_name_plural = "market history"

    def __str__(self) -> str:
        return f"{self.market_id} {self.field_name}"


class MarketSync(models.Model):
    """When all of a feed's markets were last listed, from beginning to end."""

    feed = models.OneToOneField(Feed, models.PROTECT, related_name="market_sync")
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    seen = models.IntegerField()

    class Meta:
        db_table = "market_syncs"

    def __str__(self) -> str:
        return f"{self.feed_id} {self.begun_at}"


class FollowerPosition(models.Model):
    """How far a stream's lifecycle events were taken in; it moves in the transaction of the rows that they changed."""

    feed = models.OneToOneField(Feed, models.PROTECT, related_name="follower_position")
    stream = models.CharField(max_length=200)
    epoch = models.DateTimeField(help_text="The stream's creation: it names its numbering.")
    seq = models.BigIntegerField(help_text="Every lifecycle event up to here was taken in.")
    anchor_seq = models.BigIntegerField(default=0)
    anchor_id = models.CharField(
        max_length=200, blank=True, default="", help_text="What stood at anchor_seq."
    )
    read_at = models.DateTimeField(help_text="When the bus stored what was read last.")
    sync_wanted_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Events are missing before this: only a sync that begins later fills it.",
    )

    class Meta:
        db_table = "market_follower_positions"

    def __str__(self) -> str:
        return f"{self.stream} {self.seq}"


class MarketLookup(models.Model):
    """Markets of one event that only the venue's REST API can complete; gone once they are."""

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="market_lookups")
    event_ticker = models.CharField(max_length=200)
    tickers = models.JSONField(default=list)
    wanted_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField()
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(blank=True, default="")
    given_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "market_lookups"
        ordering = ["due_at"]
        constraints = [
            models.UniqueConstraint(fields=["feed", "event_ticker"], name="market_lookups_event_of_feed")
        ]

    def __str__(self) -> str:
        return self.event_ticker


class MarketNotice(models.Model):
    """A change that is still to be published; written with the change, removed once the bus has it."""

    feed = models.ForeignKey(Feed, models.PROTECT, related_name="market_notices")
    change = models.CharField(max_length=16)
    ticker = models.CharField(max_length=200)
    body = models.JSONField()
    written_at = models.DateTimeField(default=timezone.now)

    class Meta:
        db_table = "market_outbox"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.ticker} {self.change}"

    @property
    def identity(self) -> str:
        """Its Nats-Msg-Id; the time tells rows of a database that was made anew from the old one's."""
        return f"secmaster.{self.pk}.{self.written_at.timestamp():.6f}"

"""Pages of the venue's markets into the tables: one page in memory, history only for what really changed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from registry.models import Feed
from secmaster import lifecycle, listing
from secmaster.changes import BATCH, CREATED, Changes, locked
from secmaster.models import Market, MarketSync

REASON = "market sync"
_CLOSED = {"status": Market.Status.CLOSED.value}


@dataclass(slots=True)
class SyncResult:
    """What a sync did; `refused` counts rows that could not be kept, by reason, `closed` markets no longer listed."""

    pages: int = 0
    seen: int = 0
    created: int = 0
    changed: int = 0
    closed: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def unchanged(self) -> int:
        """Rows that were as known."""
        return self.seen - self.created - self.changed - self.refused.total()


def sync_markets(
    feed: Feed, pages: Iterable[list[dict[str, Any]]], category_of: Mapping[str, str] | None = None
) -> SyncResult:
    """Upsert every page in a transaction of its own, so that an interrupted sync keeps what it has.

    `pages` are all that the venue lists: a market that it lists no longer, and whose time is over, is closed.
    """
    result, seen, begun = SyncResult(), set[str](), timezone.now()
    for page in pages:
        upsert(feed, page, category_of or {}, result, reason=REASON)
        seen.update(row["ticker"] for row in page if isinstance(row.get("ticker"), str))
    if seen:  # a venue that lists nothing at all says nothing about any market
        result.closed = _close_ended(feed, seen, begun)
    complete = {"begun_at": begun, "ended_at": timezone.now(), "seen": result.seen}
    MarketSync.objects.update_or_create(feed=feed, defaults=complete)
    return result


def _close_ended(feed: Feed, seen: set[str], now: datetime) -> int:
    """Markets that ended unseen; those whose time lies ahead stay: real venues list only a part."""
    running = (Market.Status.INITIALIZED, Market.Status.ACTIVE)
    over = Market.objects.of_feed(feed.name).filter(status__in=running, close_time__lt=now)
    ended = [ticker for ticker in over.values_list("ticker", flat=True) if ticker not in seen]
    return sum(_close(feed, ended[first : first + BATCH], now) for first in range(0, len(ended), BATCH))


@transaction.atomic
def _close(feed: Feed, tickers: list[str], now: datetime) -> int:
    changes = Changes(feed, reason=REASON)
    columns = {**_CLOSED, "status_at": now - lifecycle.REST_BEHIND}
    done = [
        changes.change(market, columns, cause=REASON)
        for market in locked(feed, tickers).values()
        if market.status in (Market.Status.INITIALIZED, Market.Status.ACTIVE)  # an event may have come since
    ]
    changes.write()
    return sum(done)


def upsert(
    feed: Feed, page: list[dict[str, Any]], category_of: Mapping[str, str], result: SyncResult, *, reason: str
) -> None:
    """Write the rows of one page that are new or different, and add to `result`."""
    wanted = _kept(page, category_of, result)
    try:
        counts = _write_page(feed, wanted, reason)
    except IntegrityError:  # the follower was first with a new market: now it is known
        counts = _write_page(feed, wanted, reason)
    result.pages += 1
    result.seen += len(page)
    result.created += counts[CREATED]
    result.changed += sum(counts.values()) - counts[CREATED]


@transaction.atomic
def _write_page(feed: Feed, wanted: Mapping[str, dict[str, Any]], reason: str) -> dict[str, int]:
    now, changes = timezone.now(), Changes(feed, reason=reason)
    known = locked(feed, wanted)
    since = now - lifecycle.REST_BEHIND
    changes.create(
        {ticker: {**row, "status_at": since} for ticker, row in wanted.items() if ticker not in known}, {}
    )
    for ticker, market in known.items():
        before = {name: getattr(market, name) for name in lifecycle.READS}
        changes.change(market, lifecycle.listed(wanted[ticker], before, now), cause=reason)
    changes.write()
    return changes.counts


def _kept(
    page: list[dict[str, Any]], category_of: Mapping[str, str], result: SyncResult
) -> dict[str, dict[str, Any]]:
    """By ticker: pages are no snapshot, so a market may come twice."""
    kept: dict[str, dict[str, Any]] = {}
    for row in page:
        if why := listing.why_not_kept(row):
            result.refused[why] += 1
        else:
            kept[row["ticker"]] = listing.columns(row, category_of)
    return kept

"""Pages of the venue's markets into the tables: one page in memory, history only for what really changed."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from simple_history.utils import bulk_create_with_history, bulk_update_with_history

from registry.models import Feed
from secmaster import listing
from secmaster.models import Market, MarketHistory

REASON = "market sync"
_BATCH = 500
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
    result, listed, begun = SyncResult(), set[str](), timezone.now()
    for page in pages:
        _sync_page(feed, page, category_of or {}, result)
        listed.update(row["ticker"] for row in page if isinstance(row.get("ticker"), str))
    if listed:  # a venue that lists nothing at all says nothing about any market
        result.closed = _close_ended(feed, listed, begun)
    return result


def _close_ended(feed: Feed, listed: set[str], now: datetime) -> int:
    """Markets that ended unseen; those whose time lies ahead stay: real venues list only a part."""
    running = (Market.Status.INITIALIZED, Market.Status.ACTIVE)
    over = Market.objects.of_feed(feed.name).filter(status__in=running, close_time__lt=now)
    ended = [ticker for ticker in over.values_list("ticker", flat=True) if ticker not in listed]
    for first in range(0, len(ended), _BATCH):
        with transaction.atomic():
            markets = list(_locked(feed, dict.fromkeys(ended[first : first + _BATCH])))
            changes = [change for market in markets for change in _changed(market, _CLOSED)]
            _write_changes(markets, changes)
    return len(ended)


@transaction.atomic
def _sync_page(
    feed: Feed, page: list[dict[str, Any]], category_of: Mapping[str, str], result: SyncResult
) -> None:
    wanted = _kept(page, category_of, result)
    known = {market.ticker: market for market in _locked(feed, wanted)}
    fresh = [Market(feed=feed, ticker=ticker, **row) for ticker, row in wanted.items() if ticker not in known]
    changes = [change for ticker, market in known.items() for change in _changed(market, wanted[ticker])]
    changed = list({change.market.ticker: change.market for change in changes}.values())
    bulk_create_with_history(fresh, Market, batch_size=_BATCH, default_change_reason=REASON)
    _write_changes(changed, changes)
    result.pages += 1
    result.seen += len(page)
    result.created += len(fresh)
    result.changed += len(changed)


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


def _locked(feed: Feed, wanted: Mapping[str, Any]) -> Iterable[Market]:
    return Market.objects.select_for_update().filter(feed=feed, ticker__in=list(wanted))


def _changed(market: Market, row: Mapping[str, Any]) -> list[MarketHistory]:
    """Set what differs on `market`, and say it."""
    changes = []
    for name, new in row.items():
        old = getattr(market, name)
        if old != new:
            before, after = listing.difference(old, new)
            changes.append(MarketHistory(market=market, field_name=name, old_value=before, new_value=after))
            setattr(market, name, new)
    return changes


def _write_changes(changed: list[Market], changes: list[MarketHistory]) -> None:
    if not changed:
        return
    now = timezone.now()
    for market in changed:
        market.updated_at = now
    columns = sorted({change.field_name for change in changes} | {"updated_at"})
    bulk_update_with_history(changed, Market, columns, batch_size=_BATCH, default_change_reason=REASON)
    MarketHistory.objects.bulk_create(changes, batch_size=_BATCH)

"""Markets that an event made known and only the venue's REST API can complete: asked for once for each event ticker.

A look-up is a row until it is answered. One that fails is tried again, later each time; after twenty times it is given
up, loudly, and stays to be seen.
"""

import random
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from registry.models import Feed
from secmaster.models import Market, MarketLookup
from secmaster.sync import SyncResult, upsert

REASON = "look-up"
FIRST_AFTER = timedelta(seconds=2)  # REST shows a new market a moment later than the event tells of it
MOST_ATTEMPTS = 20
LONGEST_PAUSE_SECONDS = 300.0
AT_ONCE = 5  # in a second, at most: a sync and the connector ask with the same allowance


@transaction.atomic
def want(feed: Feed, tickers_of: Mapping[str, Iterable[str]], now: datetime) -> None:
    """Ask for these markets, by event ticker; joins what is asked already, and takes up what was given up."""
    known = {
        lookup.event_ticker: lookup
        for lookup in MarketLookup.objects.select_for_update()
        .filter(feed=feed, event_ticker__in=list(tickers_of))
        .order_by("event_ticker")
    }
    fresh = [
        MarketLookup(
            feed=feed, event_ticker=event, tickers=sorted(set(tickers)), wanted_at=now, due_at=now + FIRST_AFTER
        )
        for event, tickers in tickers_of.items()
        if event not in known
    ]  # fmt: skip
    for event, lookup in known.items():
        lookup.tickers = sorted({*lookup.tickers, *tickers_of[event]})
        if lookup.given_up_at is not None:
            lookup.given_up_at, lookup.attempts, lookup.due_at = None, 0, now + FIRST_AFTER
    MarketLookup.objects.bulk_create(fresh)
    MarketLookup.objects.bulk_update(known.values(), ["tickers", "given_up_at", "attempts", "due_at"])


def due(feed: Feed, now: datetime) -> list[MarketLookup]:
    """The look-ups to do now, those that wait longest first."""
    return list(MarketLookup.objects.filter(feed=feed, given_up_at=None, due_at__lte=now)[:AT_ONCE])


def waiting(feed: Feed) -> int:
    """How many look-ups are not answered and not given up."""
    return MarketLookup.objects.filter(feed=feed, given_up_at=None).count()


def known_categories(feed: Feed, series: Iterable[str]) -> dict[str, str]:
    """The categories that markets of these series have."""
    rows = Market.objects.filter(feed=feed, series_ticker__in=list(series)).exclude(category=None)
    return {
        one: category
        for one, category in rows.values_list("series_ticker", "category").distinct()
        if category
    }


@transaction.atomic
def answered(
    lookup: MarketLookup, rows: list[dict[str, Any]], category_of: Mapping[str, str], now: datetime
) -> bool:
    """Write what the venue answered; whether nothing is missing any more."""
    upsert(lookup.feed, rows, category_of, SyncResult(), reason=REASON)
    current = MarketLookup.objects.select_for_update().filter(pk=lookup.pk).first()
    if current is None:
        return True
    found = {row["ticker"] for row in rows}
    current.tickers = [ticker for ticker in current.tickers if ticker not in found]
    if not current.tickers:
        current.delete()
        return True
    _fail(current, f"the venue does not know {', '.join(current.tickers[:3])}", now)
    return False


@transaction.atomic
def failed(lookup: MarketLookup, why: str, now: datetime) -> bool:
    """Put it off; whether it is given up."""
    current = MarketLookup.objects.select_for_update().filter(pk=lookup.pk).first()
    return current is not None and _fail(current, why, now)


def _fail(lookup: MarketLookup, why: str, now: datetime) -> bool:
    lookup.attempts += 1
    lookup.last_error = why[:500]
    lookup.due_at = now + timedelta(seconds=pause_seconds(lookup.attempts))
    is_given_up = lookup.attempts >= MOST_ATTEMPTS
    lookup.given_up_at = now if is_given_up else None
    lookup.save()
    return is_given_up


def pause_seconds(attempts: int) -> float:
    """Between half and all of 2, 4, 8, ... seconds, five minutes at most."""
    longest = min(2.0 ** min(attempts, 10), LONGEST_PAUSE_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311

"""Lifecycle events into the tables, a batch in a transaction: the rows, what follows from them, and how far we are."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from registry.models import Feed
from secmaster import lookups
from secmaster.changes import BATCH, Changes, locked
from secmaster.lifecycle import (
    INITIALIZED,
    READS,
    TO_CLOSE,
    Told,
    by_clock,
    effect,
    event_of,
    is_late,
    new_market,
)
from secmaster.models import FollowerPosition, Market, MarketSync
from secmaster.position import Stand

REASON = "lifecycle"
CLOCK = "clock"
# The connector tells of its own markets in time; the clock here is for the others.
CLOCK_WAITS = timedelta(seconds=5)


class Overtaken(Exception):
    """Another follower has moved the position: what was read is to be read again from there."""


@dataclass(slots=True)
class Followed:
    """What a batch did: changes by kind, events that came too late to move a market, markets to be looked up."""

    changes: dict[str, int] = field(default_factory=dict)
    late: int = 0
    wanted: int = 0


def stand_of(feed: Feed) -> Stand | None:
    """How far the feed was followed."""
    row = FollowerPosition.objects.filter(feed=feed).first()
    return None if row is None else _stand(row)


def synced_at(feed: Feed) -> datetime | None:
    """When the last complete listing of all markets began."""
    return MarketSync.objects.filter(feed=feed).values_list("begun_at", flat=True).first()


def sync_is_wanted(feed: Feed) -> bool:
    """Whether events were missed since the last complete sync began."""
    stand, last = stand_of(feed), synced_at(feed)
    wanted = stand.sync_wanted_at if stand else None
    return wanted is not None and (last is None or last < wanted)


@transaction.atomic
def follow(feed: Feed, told: Sequence[Told], *, before: Stand | None, after: Stand) -> Followed:
    """Take in what was told between two positions; raises Overtaken where the first is no longer ours."""
    _move(feed, before, after)
    if not told:
        return Followed()
    changes = Changes(feed, reason=REASON)
    markets = locked(feed, {one.ticker for one in told})
    unknown = _first_of_unknown(told, markets)
    markets |= changes.create(
        {ticker: columns for ticker, (_, columns) in unknown.items()},
        {ticker: one.cause for ticker, (one, _) in unknown.items()},
    )
    result = Followed()
    for one in told:
        if one.ticker in markets:
            result.late += _apply(changes, markets[one.ticker], one)
    changes.write()
    wanted = _to_look_up(told, markets, unknown)
    if wanted:
        lookups.want(feed, wanted, timezone.now())
    result.changes, result.wanted = changes.counts, sum(map(len, wanted.values()))
    return result


def _first_of_unknown(
    told: Sequence[Told], markets: dict[str, Market]
) -> dict[str, tuple[Told, dict[str, Any]]]:
    """Of each market that is not known, the first event that can make its row."""
    found: dict[str, tuple[Told, dict[str, Any]]] = {}
    for one in told:
        if one.ticker not in markets and one.ticker not in found:
            columns = new_market(one)
            if columns is not None:
                found[one.ticker] = (one, columns)
    return found


def _apply(changes: Changes, market: Market, told: Told) -> bool:
    """Change the market as told; whether it came too late to."""
    known = {name: getattr(market, name) for name in READS}
    columns = effect(told, known)
    if columns:
        changes.change(market, columns, cause=told.cause, at=told.said_at or told.received_at)
    return is_late(told, known)


def _to_look_up(
    told: Sequence[Told], markets: dict[str, Market], unknown: dict[str, Any]
) -> dict[str, set[str]]:
    """By event: the markets that were not known, and those of which the venue used a word that we do not know."""
    wanted: dict[str, set[str]] = {}
    for one in told:
        if one.ticker in unknown or one.ticker not in markets or one.kind == "unknown":
            market = markets.get(one.ticker)
            event = market.event_ticker if market is not None and market.event_ticker else event_of(one)
            wanted.setdefault(event, set()).add(one.ticker)
    return wanted


def _move(feed: Feed, before: Stand | None, after: Stand) -> None:
    row = FollowerPosition.objects.select_for_update().filter(feed=feed).first()
    if (None if row is None else _place(_stand(row))) != (None if before is None else _place(before)):
        raise Overtaken(f"feed {feed.name} is followed by another process, too")
    row = row or FollowerPosition(feed=feed)
    for name in ("stream", "epoch", "seq", "anchor_seq", "anchor_id", "read_at", "sync_wanted_at"):
        setattr(row, name, getattr(after, name))
    row.save()


def _place(stand: Stand) -> tuple[str, datetime, int]:
    return stand.stream, stand.epoch, stand.seq


def _stand(row: FollowerPosition) -> Stand:
    return Stand(
        stream=row.stream,
        epoch=row.epoch,
        seq=row.seq,
        read_at=row.read_at,
        anchor_seq=row.anchor_seq,
        anchor_id=row.anchor_id,
        sync_wanted_at=row.sync_wanted_at,
    )


@transaction.atomic
def turn_clock(feed: Feed, now: datetime) -> int:
    """Open and close the markets whose time has passed and of which nobody told; the venue sends no event for it.

    A market that something newer than its closing time called active stays so: the venue keeps it open.
    """
    at = now - CLOCK_WAITS
    mine = Market.objects.filter(feed=feed)
    opens = mine.filter(status=INITIALIZED, open_time__lte=at).exclude(close_time__lte=at)
    told_before = models.Q(status_at=None) | models.Q(status_at__lt=models.F("close_time"))
    closes = mine.filter(told_before, status__in=TO_CLOSE, close_time__lte=at)
    tickers = [
        *opens.values_list("ticker", flat=True)[:BATCH],
        *closes.values_list("ticker", flat=True)[:BATCH],
    ]
    if not tickers:
        return 0
    changes = Changes(feed, reason=CLOCK)
    done = [_apply_clock(changes, market, at, now) for market in locked(feed, tickers).values()]
    changes.write()
    return sum(done)


def _apply_clock(changes: Changes, market: Market, at: datetime, now: datetime) -> bool:
    """By the row that is locked now: an event may have come since it was looked for."""
    status, moment = by_clock({name: getattr(market, name) for name in READS}, at)
    columns = {"status": status, "status_at": now}
    return status != market.status and changes.change(market, columns, cause=CLOCK, at=moment)

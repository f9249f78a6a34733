"""Changes of markets, written together: rows, their history, one line for each field, and what is to be published.

Everything is written in the transaction of the caller, in bulk, and only for markets that really changed.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone
from simple_history.utils import bulk_create_with_history

from registry.models import Feed
from secmaster import listing
from secmaster.models import Market, MarketHistory, MarketNotice

BATCH = 500
# The kinds of changes, each a subject: `{feed}.secmaster.{change}`.
CREATED, STATUS, CHANGED = "created", "status", "changed"
CHANGES = (CREATED, STATUS, CHANGED)
# When something was said is no change of the market.
_BOOKKEEPING = frozenset(("status_at", "told_at"))
_PUBLISHED = (
    "event_ticker", "series_ticker", "title", "category", "status", "open_time", "close_time", "expiration_time",
    "strike_type", "floor_strike", "cap_strike", "result", "settlement_value", "settled_at",
)  # fmt: skip


def locked(feed: Feed, tickers: Iterable[str]) -> dict[str, Market]:
    """The markets that are known, each held until the transaction ends; always in one order, against deadlocks."""
    wanted = Market.objects.select_for_update().filter(feed=feed, ticker__in=list(tickers)).order_by("ticker")
    return {market.ticker: market for market in wanted}


class Changes:
    """What one transaction changes: `create` and `change` collect, `write` writes."""

    def __init__(self, feed: Feed, *, reason: str) -> None:
        self._feed, self._reason = feed, reason
        self._now = timezone.now()
        self._fresh: list[Market] = []
        self._changed: dict[int, Market] = {}
        self._columns = {"updated_at"}
        self._lines: list[MarketHistory] = []
        self._notices: list[MarketNotice] = []

    @property
    def counts(self) -> dict[str, int]:
        """How many changes of each kind there are to publish."""
        found = dict.fromkeys(CHANGES, 0)
        for notice in self._notices:
            found[notice.change] += 1
        return found

    def create(
        self, columns: Mapping[str, Mapping[str, Any]], causes: Mapping[str, str]
    ) -> dict[str, Market]:
        """Insert the markets of these columns, by ticker; they can be changed afterwards."""
        self._fresh = [Market(feed=self._feed, ticker=ticker, **row) for ticker, row in columns.items()]
        for market in self._fresh:
            self._note(CREATED, market, cause=causes.get(market.ticker, self._reason), at=self._now)
        bulk_create_with_history(self._fresh, Market, batch_size=BATCH, default_change_reason=self._reason)
        return {market.ticker: market for market in self._fresh}

    def change(
        self, market: Market, columns: Mapping[str, Any], *, cause: str, at: datetime | None = None
    ) -> bool:
        """Set what differs; whether anything did."""
        differ = {name: new for name, new in columns.items() if getattr(market, name) != new}
        fields: dict[str, Any] = {}
        for name in sorted(differ.keys() - _BOOKKEEPING):
            before, after = listing.difference(getattr(market, name), differ[name])
            line = MarketHistory(
                market=market, field_name=name, old_value=before, new_value=after, changed_at=self._now, cause=cause
            )  # fmt: skip
            self._lines.append(line)
            fields[name] = [_plain(getattr(market, name)), _plain(differ[name])]
        if not fields:
            return False
        for name, new in differ.items():
            setattr(market, name, new)
        market.updated_at = self._now
        self._changed[market.pk] = market
        self._columns |= differ.keys()
        self._note(STATUS if "status" in fields else CHANGED, market, cause=cause, at=at, fields=fields)
        return True

    def _note(
        self,
        change: str,
        market: Market,
        *,
        cause: str,
        at: datetime | None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        body = {
            "feed": self._feed.name,
            "ticker": market.ticker,
            "change": change,
            "at": listing.as_text(at or self._now),
            "cause": cause,
            "fields": fields or {},
            "market": {name: _plain(getattr(market, name)) for name in _PUBLISHED},
        }
        notice = MarketNotice(
            feed=self._feed, change=change, ticker=market.ticker, body=body, written_at=self._now
        )
        self._notices.append(notice)

    def write(self) -> None:
        """One round trip for each table, however many changes there are."""
        changed = list(self._changed.values())
        if changed:
            # bulk_update would spell out a CASE of every row for every column: several times as slow.
            Market.objects.bulk_create(
                changed,
                batch_size=BATCH,
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=sorted(self._columns),
            )
            Market.history.bulk_history_create(
                changed, batch_size=BATCH, update=True, default_change_reason=self._reason
            )
        MarketHistory.objects.bulk_create(self._lines, batch_size=BATCH)
        MarketNotice.objects.bulk_create(self._notices, batch_size=BATCH)


def _plain(value: object) -> Any:
    """A value as the published JSON has it; the venue's whole description is too much for a notice."""
    if isinstance(value, dict):
        return None
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return listing.as_text(value)

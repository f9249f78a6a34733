"""/v1/markets: what can be traded, now or as it was then. Reads only."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import feed_names, feed_or_404
from registry.listing import ListView, StrictView, rfc3339
from registry.models import Environment, Feed
from registry.problems import Problem, not_found
from registry.refusal import Refused
from secmaster.lookup import nearest_ticker
from secmaster.models import Market


class Markets(ListView):
    """/v1/markets"""

    ordering = ("ticker", "id")
    parameters = ("feed", "status", "series", "event", "ticker", "category")

    def rows(self) -> QuerySet[Any]:
        """The markets of one feed, by default the applied environment's."""
        rows = markets_as_of(asked_feed(self), self.moment, is_now=self.given("as_of") is None)
        if status := self.given_choice("status", Market.Status.values):
            rows = rows.filter(status=status)
        columns = {
            "series": "series_ticker",
            "event": "event_ticker",
            "ticker": "ticker",
            "category": "category",
        }
        for parameter, column in columns.items():
            if (value := self.given(parameter)) is not None:
                rows = rows.filter(**{column: value})
        return rows

    def row(self, row: Any) -> dict[str, Any]:
        """One market."""
        return market_document(row)


class MarketDetail(StrictView):
    """/v1/markets/{ticker}"""

    parameters = ("feed", "as_of")

    def get(self, request: Request, ticker: str) -> Response:
        """One market of the feed, with what changed in it."""
        feed = asked_feed(self)
        market = market_or_404(self, feed, ticker)
        return self.document(market_document(market))


def market_or_404(view: StrictView, feed: Feed, ticker: str) -> Any:
    """The market as it was then, or the problem that says which was probably meant."""
    rows = markets_as_of(feed, view.moment, is_now=view.given("as_of") is None)
    market = rows.filter(ticker=ticker).first()
    if market is None:
        near = nearest_ticker(feed.name, ticker)
        raise not_found(f"market of feed {feed.name}", ticker, [near] if near else [])
    return market


def asked_feed(view: StrictView) -> Feed:
    """`?feed=`, or the feed of the one applied environment."""
    name = view.given("feed")
    if name is not None:
        return feed_or_404(name)
    try:
        return Environment.objects.all().applied().version_in_force(timezone.now()).feed
    except Refused as refused:
        detail = f"Which feed? {refused.reasons[0].problem}: name one with ?feed=."
        raise Problem(detail, parameter="feed", valid_values=feed_names()) from refused


def markets_as_of(feed: Feed, moment: datetime, *, is_now: bool) -> QuerySet[Any]:
    """The feed's markets now, or from their history as they were at `moment`."""
    if is_now:
        return Market.objects.of_feed(feed.name).select_related("feed")
    rows: QuerySet[Any] = Market.history.as_of(moment).filter(feed=feed)
    return rows


def market_document(market: Any) -> dict[str, Any]:
    """A market with the design's column names."""
    return {
        "feed": market.feed.name,
        "ticker": market.ticker,
        "kalshi_id": market.kalshi_id,
        "event_ticker": market.event_ticker,
        "series_ticker": market.series_ticker,
        "title": market.title,
        "category": market.category,
        "status": market.status,
        "open_time": rfc3339(market.open_time),
        "close_time": rfc3339(market.close_time),
        "expiration_time": rfc3339(market.expiration_time),
        "settlement_time": rfc3339(market.settlement_time),
        "strike_type": market.strike_type,
        "floor_strike": _decimal(market.floor_strike),
        "cap_strike": _decimal(market.cap_strike),
        "result": market.result,
        "settlement_value": _decimal(market.settlement_value),
        "settled_at": rfc3339(market.settled_at),
        "updated_at": rfc3339(market.updated_at),
    }


def _decimal(value: Any) -> str | None:
    return None if value is None else format(value.normalize(), "f")

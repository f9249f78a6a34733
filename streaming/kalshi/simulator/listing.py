"""Filters and pages of the REST lists (kalshi.md 4.1, 4.2, 4.6); pure."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.venue import Venue

Query = Mapping[str, list[str]]
RowT = TypeVar("RowT")
# Filter value -> statuses shown.
STATUSES = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined", "disputed", "amended"),
    "settled": ("finalized",),
}
# Which status filters a time filter goes with ("" is none).
_TIME_FILTERS = {
    "created": ("created_time", ("unopened", "open", "")),
    "close": ("close_time", ("closed", "")),
    "settled": ("settlement_ts", ("settled", "")),
    "updated": ("updated_time", (*STATUSES, "")),
}
COMBO = "KXMVE"  # what a combo's ticker begins with
_CURSOR_MARK = "ssmd:"


class BadRequest(Exception):
    """Answer 400 with this body."""

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        super().__init__(body)

    @classmethod
    def nested(cls, details: str) -> "BadRequest":
        """The shape of most refusals."""
        return cls({"error": {"code": "bad_request", "message": "bad request", "details": details}})

    @classmethod
    def over_limit(cls, endpoint: str) -> "BadRequest":
        """Verbatim from a recording, for GetMarkets."""
        key = f"Key: '{endpoint}Params.Limit' Error:Field validation for 'Limit' failed on the 'lte' tag"
        return cls({"msg": f"Parameter validation failed for {endpoint}: {key}"})


def markets_page(venue: Venue, query: Query) -> dict[str, Any]:
    """GET /markets."""
    shown = [market for market in venue.markets.values() if matches(market, query)]
    status = _status(query)
    if status:
        shown = [market for market in shown if market.status in STATUSES[status]]
    for name, (key, statuses) in _TIME_FILTERS.items():
        shown = _between(shown, query, name, key, allowed=status in statuses)
    page, cursor = page_of(shown, query, endpoint="GetMarkets", highest=1000, default=100)
    return {"cursor": cursor, "markets": [market.body() for market in page]}


def events_page(venue: Venue, query: Query, *, combos: bool = False) -> dict[str, Any]:
    """GET /events, or /events/multivariate; an event matches a status when one of its markets does."""
    status, series, wanted = _status(query), first(query, "series_ticker"), _names(query, "tickers")
    rows = []
    for ticker, event in venue.events.items():
        markets = venue.markets_of(ticker)
        if ticker.startswith(COMBO) != combos or (series and event["series_ticker"] != series):
            continue
        if (wanted and ticker not in wanted) or not _any_status(markets, status):
            continue
        nested = {"markets": [market.body() for market in markets]}
        rows.append({**event, **nested} if flag(query, "with_nested_markets") else event)
    page, cursor = page_of(rows, query, endpoint="GetEvents", highest=200, default=100 if combos else 200)
    milestones: dict[str, Any] = {"milestones": []} if flag(query, "with_milestones") else {}
    return {"cursor": cursor, "events": page, **milestones}


def page_of(
    rows: Sequence[RowT], query: Query, *, endpoint: str, highest: int, default: int
) -> tuple[list[RowT], str]:
    """One page and the cursor of the next; an unreadable cursor gives the first page, as the venue does."""
    limit = number(query, "limit", default, highest, endpoint=endpoint) or default
    start = _position(first(query, "cursor"))
    end = start + limit
    return list(rows[start:end]), _cursor(end) if end < len(rows) else ""


def number(query: Query, name: str, default: int, highest: int, *, endpoint: str = "") -> int:
    """A whole number of the query, at most `highest`."""
    text = first(query, name)
    if not text:
        return default
    if not text.isdecimal():
        raise BadRequest.nested(f"invalid {name}")
    if int(text) > highest:
        raise BadRequest.over_limit(endpoint) if name == "limit" else BadRequest.nested(f"invalid {name}")
    return int(text)


def first(query: Query, name: str) -> str:
    """A parameter that counts once."""
    return query.get(name, [""])[0]


def flag(query: Query, name: str) -> bool:
    """A parameter that is true or absent."""
    return first(query, name) in ("true", "1")


def _names(query: Query, name: str) -> set[str]:
    return set(",".join(query.get(name, [])).split(",")) - {""}


def _status(query: Query) -> str:
    status = first(query, "status")
    if status and status not in STATUSES:
        raise BadRequest.nested("invalid status filter")
    return status


def _any_status(markets: Sequence[Market], status: str) -> bool:
    return not status or any(market.status in STATUSES[status] for market in markets)


def matches(market: Market, query: Query) -> bool:
    """Whether the filters that name markets let this one through."""
    event, series, tickers = (
        first(query, "event_ticker"),
        first(query, "series_ticker"),
        _names(query, "tickers"),
    )
    combos = first(query, "mve_filter")
    is_combo = market.ticker.startswith(COMBO)
    return (
        event in ("", market.event_ticker)
        and series in ("", market.series_ticker)
        and (not tickers or market.ticker in tickers)
        and not (combos == "only" and not is_combo)
        and not (combos == "exclude" and is_combo)
    )


def _between(markets: list[Market], query: Query, name: str, key: str, *, allowed: bool) -> list[Market]:
    low, high = number(query, f"min_{name}_ts", 0, 1 << 62), number(query, f"max_{name}_ts", 0, 1 << 62)
    if not (low or high):
        return markets
    if not allowed:
        raise BadRequest.nested(f"min_{name}_ts and max_{name}_ts do not go with this status filter")
    return [
        one for one in markets if key in one.fields and low <= _seconds(one.fields[key]) <= (high or 1 << 62)
    ]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"{_CURSOR_MARK}{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, ValueError):
        return 0
    digits = text.removeprefix(_CURSOR_MARK)
    return int(digits) if text.startswith(_CURSOR_MARK) and digits.isdecimal() else 0

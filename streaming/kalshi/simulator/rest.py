"""Kalshi's REST reads: a path and a query to a status and a body (kalshi.md 4 and 10); pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

import msgspec

from streaming.kalshi.simulator import frames, listing
from streaming.kalshi.simulator.book import level_texts
from streaming.kalshi.simulator.listing import BadRequest
from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.rules import Rules
from streaming.kalshi.simulator.venue import Venue

ROOT = "/trade-api/v2"
Answer = tuple[int, Any]
Query = Mapping[str, list[str]]
NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}
# Not answered without signed headers.
PRIVATE = (f"{ROOT}/portfolio/", f"{ROOT}/account/")


def answer(venue: Venue, target: str, *, now_us: int) -> Answer:
    """Answer one GET; `target` is the request's path with its query."""
    path, _, query_text = target.partition("?")
    query = parse_qs(query_text)
    words = (
        [unquote(word) for word in path.removeprefix(f"{ROOT}/").split("/")] if path.startswith(ROOT) else []
    )
    try:
        found = _route(venue, words, query, now_us)
    except BadRequest as error:
        return 400, error.body
    if found is None:
        return 404, NOT_FOUND
    is_status = words == ["exchange", "status"] and venue.rules.is_paused
    return venue.rules.paused_status if is_status else 200, found


def _status(rules: Rules) -> dict[str, Any]:
    """Whether it trades; when down it says so under another status (kalshi.md 4.8, 10)."""
    if not rules.is_paused:
        return EXCHANGE_STATUS
    is_down = rules.paused_status >= 500
    stands = {"trading_active": False, "exchange_active": not is_down}
    resumes = {"exchange_estimated_resume_time": frames.rfc3339(rules.resumes_us)} if rules.resumes_us else {}
    indexes = [{**one, **stands} for one in EXCHANGE_STATUS["exchange_index_statuses"]]
    return {**EXCHANGE_STATUS, **stands, **resumes, "exchange_index_statuses": indexes}


def _route(venue: Venue, words: list[str], query: Query, now_us: int) -> Any:
    match words:
        case ["markets", *rest]:
            return _markets(venue, rest, query)
        case ["events"]:
            return listing.events_page(venue, query)
        case ["events", ticker]:
            return _event(venue, ticker, query)
        case ["series"]:
            return _series_list(venue, query)
        case ["series", ticker]:
            series = venue.series.get(ticker)
            return series and {"series": series}
        case ["exchange", "status"]:
            return _status(venue.rules)
        case ["exchange", "schedule"]:
            return EXCHANGE_SCHEDULE
        case ["portfolio", "balance"]:
            return {**BALANCE, "updated_ts": now_us // 1_000_000}
        case ["account", "limits"]:
            return ACCOUNT_LIMITS
    return None


def _markets(venue: Venue, words: list[str], query: Query) -> Any:
    match words:
        case []:
            return listing.markets_page(venue, query)
        case ["trades"]:
            return _trades(venue, query)
        case ["orderbooks"]:
            return _orderbooks(venue, query)
        case [ticker] if ticker in venue.markets:
            return {"market": venue.markets[ticker].body()}
        case [ticker, "orderbook"] if ticker in venue.markets:
            return {"orderbook_fp": _book(venue.markets[ticker], listing.number(query, "depth", 0, 100))}
    return None


def _book(market: Market, depth: int) -> dict[str, Any]:
    no, yes = level_texts(market.book.no), level_texts(market.book.yes)
    return {"no_dollars": no[-depth:], "yes_dollars": yes[-depth:]}


def _orderbooks(venue: Venue, query: Query) -> dict[str, Any]:
    tickers = query.get("tickers", [])
    if not 1 <= len(tickers) <= 100:
        raise BadRequest.nested("tickers must name 1 to 100 markets")
    markets = [venue.markets[ticker] for ticker in tickers if ticker in venue.markets]
    return {"orderbooks": [{"ticker": market.ticker, "orderbook_fp": _book(market, 0)} for market in markets]}


def _event(venue: Venue, ticker: str, query: Query) -> dict[str, Any] | None:
    """With nested markets they stand at both places (kalshi.md 10)."""
    event = venue.events.get(ticker)
    if event is None:
        return None
    markets = [market.body() for market in venue.markets_of(ticker)]
    nested = {"markets": markets} if listing.flag(query, "with_nested_markets") else {}
    return {"event": {**event, **nested}, "markets": markets}


def _series_list(venue: Venue, query: Query) -> dict[str, Any]:
    category, tags = query.get("category", [""])[0], set(",".join(query.get("tags", [])).split(",")) - {""}
    shown = [
        series
        for series in venue.series.values()
        if (not category or series["category"] == category) and tags <= set(series.get("tags") or [])
    ]
    if listing.flag(query, "include_volume"):
        shown = [{**series, "volume_fp": "0.00"} for series in shown]
    return {"series": shown}


def _trades(venue: Venue, query: Query) -> dict[str, Any]:
    ticker = query.get("ticker", [""])[0]
    prints = [msgspec.json.decode(msg) for name, msg in reversed(venue.trades) if ticker in ("", name)]
    since, until = (listing.number(query, name, 0, 1 << 62) for name in ("min_ts", "max_ts"))
    kept = [
        each
        for each in prints
        if each["ts_ms"] >= since * 1000 and (not until or each["ts_ms"] <= until * 1000)
    ]
    block = query.get("is_block_trade", [""])[0]
    if block:
        kept = [each for each in kept if each.get("is_block_trade", False) == (block == "true")]
    page, cursor = listing.page_of(kept, query, endpoint="GetTrades", highest=1000, default=100)
    return {"cursor": cursor, "trades": [_rest_trade(each) for each in page]}


def _rest_trade(trade: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in trade.items() if key not in ("market_ticker", "ts", "ts_ms")}
    return {
        "is_block_trade": False,
        **kept,
        "ticker": trade["market_ticker"],
        "created_time": frames.rfc3339(trade["ts_ms"] * 1000),
    }


EXCHANGE_STATUS: dict[str, Any] = {
    "exchange_active": True,
    "trading_active": True,
    "intra_exchange_transfers_active": True,
    "exchange_index_statuses": [
        {
            "exchange_index": 0,
            "description": "Simulated exchange",
            "exchange_active": True,
            "trading_active": True,
            "intra_exchange_transfers_active": True,
        }
    ],
}
_ALL_DAY = [{"open_time": "00:00", "close_time": "00:00"}]
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EXCHANGE_SCHEDULE = {
    "schedule": {
        "standard_hours": [
            {
                "start_time": "2025-01-01T00:00:00Z",
                "end_time": "2035-01-01T00:00:00Z",
                **dict.fromkeys(_DAYS, _ALL_DAY),
            }
        ],
        "maintenance_windows": [],
    }
}
BALANCE = {
    "balance": 9801,
    "balance_breakdown": [{"balance": "98.0186", "exchange_index": 0}],
    "balance_dollars": "98.0186",
    "portfolio_value": 198,
}
ACCOUNT_LIMITS = {
    "grants": [],
    "read": {"bucket_capacity": 200, "refill_rate": 200},
    "usage_tier": "basic",
    "write": {"bucket_capacity": 100, "refill_rate": 100},
}

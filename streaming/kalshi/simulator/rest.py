"""Kalshi's REST reads: a path and a query to a status and a body (kalshi.md 4 and 10); pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from streaming.kalshi.simulator import about_exchange, charts, frames, historical, listing, tape
from streaming.kalshi.simulator.book import level_texts
from streaming.kalshi.simulator.listing import BadRequest
from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.venue import Venue

ROOT = "/trade-api/v2"
Answer = tuple[int, Any]
Query = Mapping[str, list[str]]
NOT_FOUND = {"error": {"code": "not_found", "message": "not found"}}
# Tokens a second of an account, as generous as the venue's highest tier, and for how many seconds they are saved up.
RATE = 12_000.0
SAVED_S = 3.0
# Not answered without signed headers.
PRIVATE = (f"{ROOT}/portfolio/", f"{ROOT}/account/")


def answer(venue: Venue, target: str, *, now_us: int, rate: float = RATE) -> Answer:
    """Answer one GET; `target` is the request's path with its query, `rate` the tokens a second of an account."""
    path, _, query_text = target.partition("?")
    query = parse_qs(query_text)
    words = (
        [unquote(word) for word in path.removeprefix(f"{ROOT}/").split("/")] if path.startswith(ROOT) else []
    )
    shown = venue.as_rest_shows_it(now_us)
    try:
        found = _account(words, rate) or _route(shown, words, query, now_us)
    except BadRequest as error:
        return 400, error.body
    if found is None:
        return 404, NOT_FOUND
    is_status = words == ["exchange", "status"] and venue.rules.is_paused
    return venue.rules.paused_status if is_status else 200, found


def _account(words: list[str], rate: float) -> Any:
    match words:
        case ["account", "limits"]:
            return about_exchange.limits(rate, rate * SAVED_S)
        case ["account", "endpoint_costs"]:
            return about_exchange.ENDPOINT_COSTS
    return None


def _route(venue: Venue, words: list[str], query: Query, now_us: int) -> Any:
    match words:
        case ["markets", *rest]:
            return _markets(venue, rest, query, now_us)
        case ["events", *rest]:
            return _events(venue, rest, query)
        case ["series", *rest]:
            return _series(venue, rest, query)
        case ["historical", *rest]:
            return historical.route(venue, rest, query, now_us)
        case ["exchange", "status"]:
            return about_exchange.status(venue.rules)
        case ["exchange", "schedule"]:
            return about_exchange.EXCHANGE_SCHEDULE
        case ["exchange", "user_data_timestamp"]:
            return {"as_of_time": frames.rfc3339(now_us)}
        case ["portfolio", "balance"]:
            return {**about_exchange.BALANCE, "updated_ts": now_us // 1_000_000}
    return None


def _markets(venue: Venue, words: list[str], query: Query, now_us: int) -> Any:
    match words:
        case []:
            return listing.markets_page(venue, query)
        case ["trades"]:
            return tape.live(venue, query, now_us)
        case ["orderbooks"]:
            return _orderbooks(venue, query)
        case ["candlesticks"]:
            return charts.batch(venue, query)
        case [ticker] if ticker in venue.markets:
            return {"market": venue.markets[ticker].body()}
        case [ticker, "orderbook"] if ticker in venue.markets:
            return {"orderbook_fp": _book(venue.markets[ticker], listing.number(query, "depth", 0, 100))}
    return None


def _events(venue: Venue, words: list[str], query: Query) -> Any:
    match words:
        case []:
            return listing.events_page(venue, query)
        case ["multivariate"]:
            return listing.events_page(venue, query, combos=True)
        case ["fee_changes"]:
            return {"event_fee_changes": [], "cursor": ""}
        case [ticker]:
            return _event(venue, ticker, query)
        case [ticker, "metadata"] if ticker in venue.events:
            return _metadata(venue, ticker)
    return None


def _series(venue: Venue, words: list[str], query: Query) -> Any:
    match words:
        case []:
            return _series_list(venue, query)
        case ["fee_changes"]:
            return {"series_fee_change_arr": []}
        case [ticker] if ticker in venue.series:
            return {"series": venue.series[ticker]}
        case [_, "markets", ticker, "candlesticks"] if ticker in venue.markets:
            return charts.one(venue, ticker, query)
        case [_, "events", ticker, "candlesticks"] if ticker in venue.events:
            return charts.of_event(venue, ticker, query)
    return None


def _metadata(venue: Venue, ticker: str) -> dict[str, Any]:
    details = [
        {"market_ticker": market.ticker, "image_url": "", "color_code": ""}
        for market in venue.markets_of(ticker)
    ]
    sources = venue.events[ticker].get("settlement_sources", [])
    return {
        "image_url": "",
        "featured_image_url": "",
        "market_details": details,
        "settlement_sources": sources,
    }


def _book(market: Market, depth: int) -> dict[str, Any]:
    no, yes = level_texts(market.book.no), level_texts(market.book.yes)
    return {"no_dollars": no[-depth:], "yes_dollars": yes[-depth:]}


def _orderbooks(venue: Venue, query: Query) -> dict[str, Any]:
    tickers = [name for name in ",".join(query.get("tickers", [])).split(",") if name]
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

"""Candlesticks as REST answers them: of a market, of several, of an event (kalshi.md 4.5); pure."""

from typing import Any

from streaming.kalshi.simulator import candles, listing
from streaming.kalshi.simulator.listing import BadRequest, Query
from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.venue import Venue

MOST_MARKETS, MOST_CANDLES = 100, 10_000
_PERIODS = (1, 60, 1440)
_FOR_EVER = 1 << 62


def of_market(market: Market, query: Query) -> list[dict[str, Any]]:
    """The candles of one market."""
    start_s, end_s, period = _stretch(query)
    if (end_s - start_s) // (period * candles.MINUTE_S) > MOST_CANDLES:
        raise BadRequest.nested(f"more than {MOST_CANDLES} candlesticks")
    with_latest = listing.flag(query, "include_latest_before_start")
    periods = market.candles.periods(period * candles.MINUTE_S)
    return candles.between(periods, start_s, end_s, with_latest=with_latest)


def one(venue: Venue, ticker: str, query: Query) -> dict[str, Any]:
    """GET /series/{series}/markets/{ticker}/candlesticks."""
    return {"ticker": ticker, "candlesticks": of_market(venue.markets[ticker], query)}


def batch(venue: Venue, query: Query) -> dict[str, Any]:
    """GET /markets/candlesticks."""
    tickers = list(dict.fromkeys(",".join(query.get("market_tickers", [])).split(",")))
    if not 1 <= len([name for name in tickers if name]) <= MOST_MARKETS:
        raise BadRequest.nested(f"market_tickers must name 1 to {MOST_MARKETS} markets")
    known = [venue.markets[ticker] for ticker in tickers if ticker in venue.markets]
    return {
        "markets": [
            {"market_ticker": market.ticker, "candlesticks": of_market(market, query)} for market in known
        ]
    }


def of_event(venue: Venue, event: str, query: Query) -> dict[str, Any]:
    """GET /series/{series}/events/{ticker}/candlesticks."""
    markets = venue.markets_of(event)
    return {
        "market_tickers": [market.ticker for market in markets],
        "market_candlesticks": [of_market(market, query) for market in markets],
        "adjusted_end_ts": _stretch(query)[1],
    }


def _stretch(query: Query) -> tuple[int, int, int]:
    for name in ("start_ts", "end_ts", "period_interval"):
        if not listing.first(query, name):
            raise BadRequest.nested(f"{name} is required")
    start_s, end_s = (listing.number(query, name, 0, _FOR_EVER) for name in ("start_ts", "end_ts"))
    period = listing.number(query, "period_interval", 1, _FOR_EVER)
    if period not in _PERIODS or end_s < start_s:
        raise BadRequest.nested("invalid period_interval, or start_ts behind end_ts")
    return start_s, end_s, period

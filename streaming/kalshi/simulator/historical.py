"""The historical tier: what the live endpoints no longer show (kalshi.md 4.9); pure."""

from typing import Any

from streaming.kalshi.simulator import charts, frames, listing, tape
from streaming.kalshi.simulator.candles import as_historical
from streaming.kalshi.simulator.listing import BadRequest, Query
from streaming.kalshi.simulator.venue import Venue

_EXCLUSIVE = ("tickers", "event_ticker", "series_ticker")


def route(venue: Venue, words: list[str], query: Query, now_us: int) -> Any:
    """Answer what stands below /historical; None for what is not there."""
    match words:
        case ["cutoff"]:
            return _cutoff(venue)
        case ["markets"]:
            return _markets(venue, query)
        case ["markets", ticker] if ticker in venue.past:
            return {"market": venue.past[ticker].body()}
        case ["markets", ticker, "candlesticks"] if ticker in venue.past:
            candles = charts.of_market(venue.past[ticker], query)
            return {"ticker": ticker, "candlesticks": [as_historical(one) for one in candles]}
        case ["trades"]:
            return tape.historical(venue, query)
    return None


def _cutoff(venue: Venue) -> dict[str, str]:
    at = frames.rfc3339(venue.cutoff_us)
    names = (
        "market_settled_ts",
        "trades_created_ts",
        "orders_updated_ts",
        "market_positions_last_updated_ts",
    )
    return dict.fromkeys(names, at)


def _markets(venue: Venue, query: Query) -> dict[str, Any]:
    given = [name for name in _EXCLUSIVE if listing.first(query, name)]
    if len(given) > 1:
        raise BadRequest.nested(f"{' and '.join(given)} exclude one another")
    bodies = [market.body() for market in venue.past.values() if listing.matches(market, query)]
    page, cursor = listing.page_of(bodies, query, endpoint="GetHistoricalMarkets", highest=1000, default=100)
    return {"cursor": cursor, "markets": page}

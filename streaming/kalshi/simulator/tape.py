"""The trades of late as REST lists them, newest first (kalshi.md 4.4, 4.9); pure."""

from typing import Any

import msgspec

from streaming.kalshi.simulator import frames, listing
from streaming.kalshi.simulator.listing import Query
from streaming.kalshi.simulator.venue import Print, Venue

# REST tells of a trade so much later than the WebSocket.
LATER_US = 400_000
_BLOCK = b'"is_block_trade":true'


def live(venue: Venue, query: Query, now_us: int) -> dict[str, Any]:
    """GET /markets/trades."""
    shown = [one for one in reversed(venue.trades) if venue.cutoff_us <= one.at_us <= now_us - LATER_US]
    return _page(shown, query)


def historical(venue: Venue, query: Query) -> dict[str, Any]:
    """GET /historical/trades: what lies before the cutoff."""
    return _page([one for one in reversed(venue.trades) if one.at_us < venue.cutoff_us], query)


def _page(prints: list[Print], query: Query) -> dict[str, Any]:
    ticker, block = listing.first(query, "ticker"), listing.first(query, "is_block_trade")
    since, until = (listing.number(query, name, 0, 1 << 62) for name in ("min_ts", "max_ts"))
    kept = [
        one
        for one in prints
        if ticker in ("", one.ticker)
        and one.at_us >= since * 1_000_000
        and (not until or one.at_us <= until * 1_000_000)
        and (not block or (_BLOCK in one.msg) == (block == "true"))
    ]
    page, cursor = listing.page_of(kept, query, endpoint="GetTrades", highest=1000, default=100)
    return {"cursor": cursor, "trades": [_rest_trade(msgspec.json.decode(one.msg)) for one in page]}


def _rest_trade(trade: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in trade.items() if key not in ("market_ticker", "ts", "ts_ms")}
    return {
        "is_block_trade": False,
        **kept,
        "ticker": trade["market_ticker"],
        "created_time": frames.rfc3339(trade["ts_ms"] * 1000),
    }

"""What the lifecycle channel tells of a market (kalshi.md 3.5): all times are Unix seconds; pure."""

from typing import Any

from streaming.kalshi.simulator.frames import Broadcast, broadcast
from streaming.kalshi.simulator.market import Market

SECOND_US = 1_000_000
_NAMED = ("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary", "event_ticker", "strike_type")  # fmt: skip
_KIND = "market_lifecycle_v2"


def created(market: Market, open_us: int, close_us: int) -> Broadcast:
    """A new market, with all that is known of it."""
    fields = market.fields
    told = {
        "market_ticker": market.ticker, "exchange_index": 0, "open_ts": open_us // SECOND_US,
        "close_ts": close_us // SECOND_US, "price_level_structure": fields["price_level_structure"],
        "price_ranges": fields["price_ranges"],
        "additional_metadata": {
            "name": fields["yes_sub_title"],
            **{name: fields[name] for name in _NAMED},
            "can_close_early": True,
            "expected_expiration_ts": close_us // SECOND_US + 300,
        },
        "event_type": "created",
    }  # fmt: skip
    return broadcast(_KIND, market.ticker, told)


def event(body: dict[str, Any]) -> Broadcast:
    """A new event."""
    told = {
        "event_ticker": body["event_ticker"], "exchange_index": 0, "title": body["title"],
        "subtitle": body["sub_title"], "collateral_return_type": "", "series_ticker": body["series_ticker"],
    }  # fmt: skip
    return broadcast("event_lifecycle", "", told)


def metadata_updated(market: Market) -> Broadcast:
    """The target became known."""
    told = {
        "market_ticker": market.ticker, "strike_type": market.fields["strike_type"],
        "floor_strike": market.fields["floor_strike"], "yes_sub_title": market.fields["yes_sub_title"],
        "event_type": "metadata_updated",
    }  # fmt: skip
    return broadcast(_KIND, market.ticker, told)


def close_date_updated(market: Market, close_us: int) -> Broadcast:
    """It closes at another time."""
    told = {
        "market_ticker": market.ticker,
        "close_ts": close_us // SECOND_US,
        "event_type": "close_date_updated",
    }
    return broadcast(_KIND, market.ticker, told)


def paused(market: Market, *, is_paused: bool) -> Broadcast:
    """It is paused, or goes on: `activated` means nothing else."""
    told = {
        "market_ticker": market.ticker, "is_deactivated": is_paused,
        "event_type": "deactivated" if is_paused else "activated",
    }  # fmt: skip
    return broadcast(_KIND, market.ticker, told)


def determined(market: Market, result: str, value: str, now_us: int) -> Broadcast:
    """How it ended."""
    told = {
        "market_ticker": market.ticker, "determination_ts": now_us // SECOND_US, "result": result,
        "settlement_value": value, "event_type": "determined",
    }  # fmt: skip
    return broadcast(_KIND, market.ticker, told)


def settled(market: Market, now_us: int) -> Broadcast:
    """It is paid out."""
    told = {"market_ticker": market.ticker, "settled_ts": now_us // SECOND_US, "event_type": "settled"}
    return broadcast(_KIND, market.ticker, told)

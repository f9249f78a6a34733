"""Frames of markets that nobody announced and REST does not know; pure."""

from streaming.kalshi.simulator import announcements, frames
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.market import Market, price_fields
from streaming.kalshi.simulator.matching import stable_uuid

SECOND_US = 1_000_000
_SERIES = "KXSTRANGE"


def strangers(markets: int, on: str, *, seconds: float, now_us: int) -> list[tuple[int, Broadcast]]:
    """One frame of each on a channel, with the time at which it is due."""
    step_us = seconds * SECOND_US / markets
    due = [now_us + round(place * step_us) for place in range(markets)]
    return [(at_us, _frame(f"{_SERIES}-{now_us}-{place}", on, at_us)) for place, at_us in enumerate(due)]


def _frame(ticker: str, on: str, at_us: int) -> Broadcast:
    if on == "trade":
        return frames.trade(ticker, stable_uuid(ticker), "yes", 4500, 1000, at_us)
    market = _market(ticker)
    if on == "ticker":
        return market.ticker_frame(at_us)
    return announcements.created(market, at_us, at_us + 3600 * SECOND_US)


def _market(ticker: str) -> Market:
    fields = {
        **dict.fromkeys(("title", "yes_sub_title", "no_sub_title", "rules_primary", "rules_secondary"), "A stranger"),
        "event_ticker": ticker.rpartition("-")[0], "strike_type": "custom", **price_fields("linear_cent"),
    }  # fmt: skip
    return Market(ticker, stable_uuid(ticker), ticker.rpartition("-")[0], _SERIES, fields)

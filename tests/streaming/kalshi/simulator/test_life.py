"""Random life: what may never happen, and in which order a market lives."""

import json
import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.life import STEP_US, RandomLife
from streaming.kalshi.simulator.listings import SECOND_US
from streaming.kalshi.simulator.market import Market, price_fields
from streaming.kalshi.simulator.matching import OrderFlow, prices_of
from streaming.kalshi.simulator.venue import Venue

NOW_US = 1_795_000_000_000_000
PERIOD_US = 20 * SECOND_US
STRUCTURES = ["linear_cent", "deci_cent", "tapered_deci_cent"]


def body(frame: Broadcast) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(frame.msg)
    return parsed


def live(
    seconds: float, *, seed: int = 1, markets: int = 2, rate: float = 100
) -> tuple[Venue, list[Broadcast]]:
    venue, happened = Venue(), []
    life = RandomLife(venue, seed=seed, markets=markets, rate=rate, now_us=NOW_US, period_us=PERIOD_US)
    for step in range(1, int(seconds * SECOND_US / STEP_US) + 1):
        happened += life.advance(NOW_US + step * STEP_US)
    return venue, happened


@pytest.mark.parametrize("structure", STRUCTURES)
def test_books_are_never_crossed_locked_or_negative(structure: str) -> None:
    market = Market("KXA-1", "id", "KXA", "KX", price_fields(structure))
    flow = OrderFlow(market, random.Random(5))
    grid = set(prices_of(market.fields["price_ranges"]))

    for step in range(4000):
        flow.act(NOW_US + step)
        assert not market.book.is_crossed_or_locked()
        assert all(size > 0 for size in (*market.book.yes.values(), *market.book.no.values()))
    assert set(market.book.yes) | set(market.book.no) <= grid


def test_every_trade_has_its_makers_delta_of_the_same_instant() -> None:
    _, happened = live(30)
    deltas = Counter(
        (each["market_ticker"], each["ts_ms"], each["side"], each["price_dollars"], each["delta_fp"])
        for each in map(body, happened)
        if "delta_fp" in each
    )
    trades = [body(frame) for frame in happened if frame.type == b"trade"]

    assert len(trades) > 100
    for each in trades:
        maker = "no" if each["taker_outcome_side"] == "yes" else "yes"
        price = each[f"{maker}_price_dollars"]
        assert deltas[each["market_ticker"], each["ts_ms"], maker, price, f"-{each['count_fp']}"]
    assert len({each["trade_id"] for each in trades}) == len(trades)


def test_the_same_seed_and_clock_give_the_same_flow() -> None:
    assert live(3, seed=4)[1] == live(3, seed=4)[1]
    assert live(3, seed=4)[1] != live(3, seed=5)[1]


def test_each_series_has_one_open_market_and_the_next_one_announced() -> None:
    venue, _ = live(45)

    for series in venue.series:
        statuses = [market.status for market in venue.markets.values() if market.series_ticker == series]
        assert statuses.count("initialized") >= 1
        assert statuses.count("finalized") >= 1
        assert statuses.count("active") in (0, 1, 2)


def test_a_market_is_told_of_ahead_and_at_its_end_but_not_when_it_opens_or_closes() -> None:
    _, happened = live(90, markets=1)
    told: dict[str, list[str]] = {}
    for frame in happened:
        if frame.type == b"market_lifecycle_v2":
            told.setdefault(frame.ticker, []).append(body(frame)["event_type"])

    whole = [events for events in told.values() if events[0] == "created" and events[-1] == "settled"]
    assert whole
    assert all(events == ["created", "metadata_updated", "determined", "settled"] for events in whole)


def test_at_the_close_only_a_few_orders_expire_and_an_empty_snapshot_clears_the_rest() -> None:
    venue, happened = live(45, markets=1)
    frames = [frame for frame in happened if frame.channel == "orderbook_delta"]
    # The first may clear a market that closed before the simulation began.
    at = [index for index, frame in enumerate(frames) if frame.type == b"orderbook_snapshot"][1]
    empty = frames[at]
    close_us = round(_seconds(venue.markets[empty.ticker].fields["close_time"]) * SECOND_US)

    of_market = [body(frame) for frame in frames[:at] if frame.ticker == empty.ticker]
    expired = [each for each in of_market if each["ts_ms"] * 1000 >= close_us // 1000 * 1000]
    assert set(body(empty)) == {"market_ticker", "market_id"}
    assert 1 <= len(expired) <= 4
    assert {each["ts_ms"] for each in expired} == {close_us // 1000}


def test_the_rate_is_about_what_was_asked_for() -> None:
    _, happened = live(60, rate=100)

    assert 4500 < len(happened) < 7500


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()

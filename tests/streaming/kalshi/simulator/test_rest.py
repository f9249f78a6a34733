"""REST answers: filters, pages, errors and shapes of kalshi.md 4 and 10."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi.simulator.life import STEP_US, RandomLife
from streaming.kalshi.simulator.rest import answer
from streaming.kalshi.simulator.venue import Venue

NOW_US = 1_795_000_000_000_000
ROOT = "/trade-api/v2"
# "r" in kalshi.md 4.3.
REQUIRED = [
    "ticker",
    "event_ticker",
    "market_type",
    "yes_sub_title",
    "no_sub_title",
    "created_time",
    "updated_time",
    "open_time",
    "close_time",
    "latest_expiration_time",
    "settlement_timer_seconds",
    "status",
    "yes_bid_dollars",
    "yes_ask_dollars",
    "no_bid_dollars",
    "no_ask_dollars",
    "yes_bid_size_fp",
    "yes_ask_size_fp",
    "last_price_dollars",
    "previous_yes_bid_dollars",
    "previous_yes_ask_dollars",
    "previous_price_dollars",
    "volume_fp",
    "volume_24h_fp",
    "open_interest_fp",
    "notional_value_dollars",
    "result",
    "expiration_value",
    "settlement_bounds_type",
    "can_close_early",
    "rules_primary",
    "rules_secondary",
    "price_level_structure",
    "price_ranges",
]


@pytest.fixture(scope="module")
def venue() -> Venue:
    """Six random markets, ten seconds old."""
    venue = Venue()
    life = RandomLife(venue, seed=1, markets=6, rate=200, now_us=NOW_US)
    for step in range(1, 500):
        life.advance(NOW_US + step * STEP_US)
    return venue


def get(venue: Venue, target: str) -> Any:
    status, body = answer(venue, f"{ROOT}{target}", now_us=NOW_US)
    assert status == 200
    return json.loads(json.dumps(body))


def markets(venue: Venue, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(venue, f"/markets?{query}")["markets"]
    return found


def test_every_market_has_all_required_fields(venue: Venue) -> None:
    for market in markets(venue):
        assert set(REQUIRED) <= set(market), market["ticker"]


@pytest.mark.parametrize(
    ("status", "shown"),
    [("open", {"active"}), ("unopened", {"initialized"}), ("settled", {"finalized"}), ("paused", set())],
)
def test_the_status_filter_shows_the_statuses_it_stands_for(
    venue: Venue, status: str, shown: set[str]
) -> None:
    assert {market["status"] for market in markets(venue, f"status={status}")} == shown


def test_pages_follow_one_another_and_the_last_cursor_is_empty(venue: Venue) -> None:
    seen, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        page = get(venue, f"/markets?limit=5&cursor={cursor}")
        seen += [market["ticker"] for market in page["markets"]]
        cursor, pages = page["cursor"], pages + 1

    assert seen == [market["ticker"] for market in markets(venue, "limit=1000")]
    assert pages > 2


def test_a_garbage_cursor_gives_the_first_page(venue: Venue) -> None:
    assert markets(venue, "limit=3&cursor=garbage-cursor-fixture") == markets(venue, "limit=3")


@pytest.mark.parametrize("query", ["series_ticker=KXBTC5M", "event_ticker={event}", "tickers={ticker}"])
def test_filters_name_series_events_and_markets(venue: Venue, query: str) -> None:
    one = next(market for market in markets(venue, "status=open") if market["ticker"].startswith("KXBTC5M"))

    found = markets(venue, query.format(event=one["event_ticker"], ticker=one["ticker"]))

    assert one in found
    assert all(market["ticker"].startswith("KXBTC5M") for market in found)


def test_times_filter_with_the_status_they_belong_to(venue: Venue) -> None:
    status, _ = answer(venue, f"{ROOT}/markets?status=open&min_settled_ts=5", now_us=NOW_US)

    assert markets(venue, f"max_close_ts={NOW_US // 1_000_000 - 3600}") == []
    assert status == 400


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/markets/NOPE", 404, {"error": {"code": "not_found", "message": "not found"}}),
        ("/nothing", 404, {"error": {"code": "not_found", "message": "not found"}}),
        (
            "/markets?limit=1001",
            400,
            {
                "msg": "Parameter validation failed for GetMarkets: Key: 'GetMarketsParams.Limit' "
                "Error:Field validation for 'Limit' failed on the 'lte' tag"
            },
        ),
        (
            "/markets?status=active",
            400,
            {"error": {"code": "bad_request", "message": "bad request", "details": "invalid status filter"}},
        ),
    ],
)
def test_errors_have_the_exchanges_bodies(venue: Venue, target: str, status: int, body: object) -> None:
    assert answer(venue, f"{ROOT}{target}", now_us=NOW_US) == (status, body)


def test_an_order_book_has_both_sides_ascending_and_depth_keeps_the_best(venue: Venue) -> None:
    ticker = markets(venue, "status=open")[0]["ticker"]

    whole = get(venue, f"/markets/{ticker}/orderbook")["orderbook_fp"]
    best = get(venue, f"/markets/{ticker}/orderbook?depth=1")["orderbook_fp"]
    empty = get(venue, f"/markets/{markets(venue, 'status=unopened')[0]['ticker']}/orderbook")["orderbook_fp"]

    for side in ("yes_dollars", "no_dollars"):
        assert whole[side] == sorted(whole[side])
        assert best[side] == whole[side][-1:]
    assert empty == {"yes_dollars": [], "no_dollars": []}


def test_several_books_are_asked_for_by_name(venue: Venue) -> None:
    one, two = [market["ticker"] for market in markets(venue, "status=open")][:2]

    found = get(venue, f"/markets/orderbooks?tickers={one}&tickers={two}")["orderbooks"]

    assert [book["ticker"] for book in found] == [one, two]


def test_trades_are_newest_first_and_can_be_filtered(venue: Venue) -> None:
    page = get(venue, "/markets/trades?limit=50")
    ticker = page["trades"][0]["ticker"]
    of_one = get(venue, f"/markets/trades?ticker={ticker}&limit=1000")

    times = [datetime.fromisoformat(trade["created_time"]) for trade in page["trades"]]
    assert times == sorted(times, reverse=True)
    assert {trade["ticker"] for trade in of_one["trades"]} == {ticker}
    assert {"trade_id", "count_fp", "is_block_trade", "taker_book_side"} <= set(page["trades"][0])
    assert "ts_ms" not in page["trades"][0]


def test_series_are_found_by_category(venue: Venue) -> None:
    crypto = get(venue, "/series?category=Crypto")["series"]

    assert {series["ticker"] for series in crypto} == {"KXBTC5M", "KXETH5M"}
    assert get(venue, "/series/KXBTC5M")["series"] in crypto
    assert get(venue, "/series?category=None")["series"] == []


def test_an_event_shows_its_markets_also_nested(venue: Venue) -> None:
    event = get(venue, "/events?status=open&limit=1")["events"][0]["event_ticker"]

    plain, nested = get(venue, f"/events/{event}"), get(venue, f"/events/{event}?with_nested_markets=true")

    assert plain["markets"] == nested["event"]["markets"]
    assert "markets" not in plain["event"]


@pytest.mark.parametrize(
    ("target", "name"),
    [("/markets", "markets__single_filter_lastpage"), ("/markets/trades", "trades__public_recorded")],
)
def test_lists_have_the_recorded_shape(venue: Venue, recordings: Path, target: str, name: str) -> None:
    recorded = json.loads((recordings / "fortuna_demo" / f"{name}.json").read_text())
    ours = get(venue, target)

    assert set(ours) == set(recorded)
    [key] = set(recorded) - {"cursor"}
    gone = {"liquidity_dollars", "fractional_trading_enabled", "response_price_units"}  # since October 2026
    optional = {"custom_strike", "early_close_condition", "occurrence_datetime", "subtitle", "tick_size"}
    assert set(recorded[key][0]) - gone - optional <= set(ours[key][0])


def test_the_account_and_the_schedule_have_the_documented_shape(venue: Venue) -> None:
    assert get(venue, "/portfolio/balance")["balance_dollars"] == "98.0186"
    assert get(venue, "/account/limits")["usage_tier"] == "basic"
    assert len(get(venue, "/exchange/schedule")["schedule"]["standard_hours"][0]) == 9
    assert get(venue, "/exchange/status")["trading_active"] is True

"""What makes the exchange lifelike: a REST that lies behind, candles, the historical tier, token buckets, combos, incidents."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import httpx
import pytest

from streaming.kalshi.simulator.buckets import Buckets
from streaming.kalshi.simulator.candles import Candles, as_historical, between, period_end
from streaming.kalshi.simulator.combos import Combos
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.incidents import Incident, incident_of
from streaming.kalshi.simulator.life import STEP_US, RandomLife
from streaming.kalshi.simulator.listings import rolling_slots
from streaming.kalshi.simulator.rest import ROOT, answer
from streaming.kalshi.simulator.venue import Venue
from tests.streaming.kalshi.simulator.conftest import Serving
from tests.streaming.kalshi.simulator.test_server import HEADERS

NOW_US = 1_795_000_000_000_000
SECOND_US = 1_000_000
AFTER_US = NOW_US + 12 * SECOND_US


def lived(seconds: float, **options: Any) -> tuple[Venue, RandomLife, list[Broadcast]]:
    """A venue of random markets so long after its beginning, and what it told."""
    venue = Venue()
    given: dict[str, Any] = {"seed": 1, "markets": 6, "rate": 200.0, "now_us": NOW_US} | options
    life = RandomLife(venue, **given)
    told: list[Broadcast] = []
    for step in range(1, int(seconds * SECOND_US) // STEP_US):
        told += life.advance(NOW_US + step * STEP_US)
    return venue, life, told


@pytest.fixture(scope="module")
def venue() -> Venue:
    return lived(10)[0]


def get(venue: Venue, target: str, now_us: int = AFTER_US) -> Any:
    status, body = answer(venue, f"{ROOT}{target}", now_us=now_us)
    assert status == 200, body
    return json.loads(json.dumps(body))


def told_events(told: list[Broadcast]) -> Counter[str]:
    return Counter(
        json.loads(one.msg).get("event_type", "") for one in told if one.channel == "market_lifecycle_v2"
    )


# --- a step behind ----------------------------------------------------------------------------


def test_a_trade_is_on_the_tape_of_rest_a_moment_later(venue: Venue) -> None:
    newest = venue.trades[-1]
    before = get(venue, "/markets/trades", now_us=newest.at_us + 100_000)["trades"]
    after = get(venue, "/markets/trades", now_us=newest.at_us + 500_000)["trades"]

    name = json.loads(newest.msg)["trade_id"]
    assert name not in {one["trade_id"] for one in before}
    assert after[0]["trade_id"] == name


def test_rest_does_not_know_a_new_market_for_a_moment() -> None:
    venue, life, _ = lived(1)
    life.roll_over(rolling_slots(1, period_us=60 * SECOND_US, times=1), lead_us=0, now_us=AFTER_US)
    [ticker] = [ticker for ticker in venue.markets if ticker.startswith("KXROLL")]

    assert answer(venue, f"{ROOT}/markets/{ticker}", now_us=AFTER_US + 200_000)[0] == 404
    assert ticker not in str(get(venue, "/markets?limit=1000", AFTER_US + 200_000))
    assert get(venue, f"/markets/{ticker}", AFTER_US + 2 * SECOND_US)["market"]["ticker"] == ticker


# --- candles ----------------------------------------------------------------------------------


def test_minutes_are_candles_and_join_to_longer_ones() -> None:
    candles = Candles()
    for at_s, price, size in ((60, 4000, 100), (61, 5000, 300), (90, 3000, 100), (121, 4500, 100)):
        candles.trade(at_s * SECOND_US, price, size, quote=(price - 100, price + 100), interest=50)

    first, second, third = between(candles.periods(60), 0, 1000, with_latest=False)
    [hour] = between(candles.periods(3600), 0, 5000, with_latest=False)
    assert (first["end_period_ts"], second["end_period_ts"], third["end_period_ts"]) == (60, 120, 180)
    assert second["price"] == {
        "open_dollars": "0.5000", "high_dollars": "0.5000", "low_dollars": "0.3000", "close_dollars": "0.3000",
        "mean_dollars": "0.4500", "previous_dollars": "0.4000",
    }  # fmt: skip
    assert (hour["end_period_ts"], hour["volume_fp"]) == (3600, "6.00")
    assert hour["yes_bid"] == {"open_dollars": "0.3900", "high_dollars": "0.4900", "low_dollars": "0.2900", "close_dollars": "0.4400"}  # fmt: skip
    assert as_historical(third)["price"]["previous"] == "0.3000"


def test_a_minute_without_a_trade_has_only_the_price_before(venue: Venue) -> None:
    candles = Candles()
    candles.quote(30 * SECOND_US, 0, 10_000)
    candles.trade(90 * SECOND_US, 4000, 100, quote=(3900, 4100), interest=50)
    candles.quote(150 * SECOND_US, 3900, 4100)

    first, _, third = between(candles.periods(60), 0, 1000, with_latest=False)
    assert first["price"] == {}
    assert third["price"] == {"previous_dollars": "0.4000"}


def test_the_end_of_a_period_belongs_to_it() -> None:
    assert [period_end(at_s, 60) for at_s in (60, 61, 120)] == [60, 120, 120]


def test_candles_of_a_market_of_several_and_of_an_event(venue: Venue) -> None:
    market = next(one for one in venue.markets.values() if one.volume_e2 and one.status == "active")
    opened_s = int(datetime.fromisoformat(market.fields["open_time"]).timestamp())
    stretch = f"start_ts={opened_s}&end_ts={opened_s + 3600}&period_interval=1"
    one = get(venue, f"/series/{market.series_ticker}/markets/{market.ticker}/candlesticks?{stretch}")
    batch = get(venue, f"/markets/candlesticks?market_tickers={market.ticker},NOPE&{stretch}")
    event = get(venue, f"/series/{market.series_ticker}/events/{market.event_ticker}/candlesticks?{stretch}")

    assert one["ticker"] == market.ticker
    assert sum(float(each["volume_fp"]) for each in one["candlesticks"]) == market.volume_e2 / 100
    assert batch["markets"] == [{"market_ticker": market.ticker, "candlesticks": one["candlesticks"]}]
    assert event["market_candlesticks"][event["market_tickers"].index(market.ticker)] == one["candlesticks"]


@pytest.mark.parametrize(
    "query", ["start_ts=1&end_ts=2", "start_ts=1&end_ts=2&period_interval=5", "start_ts=0&end_ts=99999999&period_interval=1"]
)  # fmt: skip
def test_candles_need_a_stretch_that_is_not_too_long(venue: Venue, query: str) -> None:
    market = next(iter(venue.markets.values()))
    target = f"{ROOT}/series/{market.series_ticker}/markets/{market.ticker}/candlesticks?{query}"
    assert answer(venue, target, now_us=AFTER_US)[0] == 400


# --- the historical tier ----------------------------------------------------------------------


def test_what_is_over_long_enough_is_only_in_the_historical_tier() -> None:
    venue, _, _ = lived(1)
    market = next(one for one in venue.markets.values() if one.volume_e2)
    trades = len(get(venue, "/markets/trades?limit=1000")["trades"])
    venue.delist(market.ticker, settled_us=AFTER_US)

    assert answer(venue, f"{ROOT}/markets/{market.ticker}", now_us=AFTER_US)[0] == 404
    assert get(venue, f"/historical/markets/{market.ticker}")["market"]["ticker"] == market.ticker
    assert [one["ticker"] for one in get(venue, "/historical/markets")["markets"]] == [market.ticker]
    assert get(venue, "/markets/trades")["trades"] == []
    assert len(get(venue, "/historical/trades?limit=1000")["trades"]) >= trades
    stretch = (
        f"start_ts={NOW_US // SECOND_US - 86_400}&end_ts={NOW_US // SECOND_US + 86_400}&period_interval=1440"
    )
    [candle] = get(venue, f"/historical/markets/{market.ticker}/candlesticks?{stretch}")["candlesticks"]
    assert set(candle) == {"end_period_ts", "open_interest", "price", "volume", "yes_ask", "yes_bid"}
    assert get(venue, "/historical/cutoff")["market_settled_ts"].startswith("2026-")


def test_filters_of_the_historical_tier_exclude_one_another(venue: Venue) -> None:
    target = f"{ROOT}/historical/markets?tickers=A&event_ticker=B"
    assert answer(venue, target, now_us=AFTER_US)[0] == 400


@pytest.mark.parametrize(
    "target",
    ["/events/multivariate", "/events/fee_changes", "/series/fee_changes", "/account/endpoint_costs",
     "/account/limits", "/exchange/schedule", "/exchange/user_data_timestamp", "/events?with_milestones=true"],
)  # fmt: skip
def test_every_further_route_answers(venue: Venue, target: str) -> None:
    assert isinstance(get(venue, target), dict)


def test_an_event_has_metadata(venue: Venue) -> None:
    event = next(iter(venue.events))
    assert get(venue, f"/events/{event}/metadata")["market_details"]


# --- tokens -----------------------------------------------------------------------------------


def test_a_bucket_is_refilled_and_each_key_has_its_own() -> None:
    buckets = Buckets(rate=20, capacity=20)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 0.5) for _ in range(2)] == [True, False]


async def test_who_asks_too_often_gets_the_venues_429(serving: Serving) -> None:
    async with serving(rest_tokens=10.0) as service, httpx.AsyncClient() as http:
        url = f"http://127.0.0.1:{service.port}/trade-api/v2"
        answers = [await http.get(f"{url}/exchange/status") for _ in range(4)]
        signed = await http.get(f"{url}/account/limits", headers=HEADERS)

    assert [one.status_code for one in answers] == [200, 200, 200, 429]
    assert answers[3].text == '{"error":"too many requests"}'
    assert "Retry-After" not in answers[3].headers
    assert signed.json()["read"] == {"bucket_capacity": 30, "refill_rate": 10}


# --- combos -----------------------------------------------------------------------------------


def test_combos_are_in_the_way_and_can_be_left_out() -> None:
    venue, _, _ = lived(1)
    combos = Combos(venue, count=300, seed=1, now_us=NOW_US)
    told = combos.advance(NOW_US + 60 * SECOND_US)

    everything = get(venue, "/markets?limit=1000")["markets"]
    without = get(venue, "/markets?limit=1000&mve_filter=exclude")["markets"]
    only = get(venue, "/markets?limit=1000&mve_filter=only")["markets"]
    assert len(only) == 300 and len(everything) == len(only) + len(without)
    assert all(one["ticker"].startswith("KXMVE") and one["mve_selected_legs"] for one in only)
    assert not any(one["ticker"].startswith("KXMVE") for one in without)
    assert all(not one["event_ticker"].startswith("KXMVE") for one in get(venue, "/events")["events"])
    assert len(get(venue, "/events/multivariate?limit=200")["events"]) == 200
    assert [one.channel for one in told] == ["multivariate_market_lifecycle"] * 5


# --- incidents --------------------------------------------------------------------------------


def test_a_share_of_the_markets_has_an_incident_and_the_seed_says_which() -> None:
    names = [f"KX-{number}" for number in range(2000)]
    found = [incident_of(name, seed=1, share=0.1, open_us=0, close_us=100) for name in names]
    happened = [one for one in found if one]

    assert 130 < len(happened) < 270
    assert {what for _, what in happened} == set(Incident)
    assert all(20 <= at_us <= 70 for at_us, _ in happened)
    assert found == [incident_of(name, seed=1, share=0.1, open_us=0, close_us=100) for name in names]


def test_markets_close_early_pause_and_settle_otherwise() -> None:
    venue, _, told = lived(120, markets=24, rate=20.0, incidents=1.0, period_us=20 * SECOND_US)
    events = told_events(told)
    results = {market.fields.get("result") for market in venue.markets.values()}

    assert all(events[name] for name in ("close_date_updated", "deactivated", "activated", "settled"))
    assert "scalar" in results
    assert any(b'"is_block_trade":true' in one.msg for one in told if one.channel == "trade")


def test_without_incidents_markets_live_as_planned() -> None:
    _, _, told = lived(40, rate=20.0, period_us=20 * SECOND_US)

    assert set(told_events(told)) - {""} == {"created", "metadata_updated", "determined", "settled"}

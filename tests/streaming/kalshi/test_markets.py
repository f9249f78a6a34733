from typing import Any

import pytest

from streaming.kalshi.markets import (
    FORGET_AFTER_NS,
    REMEMBER_OVER_NS,
    MarketBoard,
    Patterns,
    Turned,
    series_of,
)
from streaming.kalshi.messages import Lifecycle

S = 10**9
A = "KXBTC15M-26JUL191145-45"


def board(**patterns: Any) -> MarketBoard:
    return MarketBoard(Patterns(**(patterns or {"is_everything": True})))


def listed(
    ticker: str = A, status: str = "initialized", open_s: int = 100, close_s: int = 200
) -> dict[str, Any]:
    return {"ticker": ticker, "status": status, "open_ns": open_s * S, "close_ns": close_s * S}


def created(ticker: str = A, open_s: int = 100, close_s: int = 200) -> Lifecycle:
    return Lifecycle(ticker, "created", open_ts=open_s, close_ts=close_s)


@pytest.mark.parametrize(
    ("patterns", "ticker", "is_covered"),
    [
        (Patterns(is_everything=True), A, True),
        (Patterns(is_everything=True), "KXMVESPORTS-1", False),
        (Patterns(tickers=frozenset({"KXMVESPORTS-1"})), "KXMVESPORTS-1", True),
        (Patterns(series=frozenset({"KXBTC15M"})), A, True),
        (Patterns(series=frozenset({"KXBTC"})), A, False),
        (Patterns(tickers=frozenset({A})), A, True),
        (Patterns(tickers=frozenset({A})), "KXBTC15M-26JUL191200-00", False),
        (Patterns(), A, False),
    ],
)
def test_patterns_cover_tickers_series_or_everything_but_combinations(
    patterns: Patterns, ticker: str, is_covered: bool
) -> None:
    assert patterns.cover(ticker) is is_covered


def test_a_series_is_the_part_before_the_first_dash() -> None:
    assert (series_of(A), series_of("PLAIN")) == ("KXBTC15M", "PLAIN")


def test_a_market_opens_and_closes_by_the_clock_once() -> None:
    markets = board()
    markets.learn(created())

    turned = [markets.turn(second * S) for second in (99, 100, 101, 199, 200, 201)]

    assert turned == [[], [Turned(A, 100 * S, is_open=True)], [], [], [Turned(A, 200 * S, is_open=False)], []]


def test_a_book_is_wanted_from_opening_until_determination() -> None:
    markets = board()
    markets.learn(created())
    wanted = [markets.wanted()]
    for second in (100, 250):
        markets.turn(second * S)
        wanted.append(markets.wanted())
    markets.learn(Lifecycle(A, "determined"))
    wanted.append(markets.wanted())

    assert wanted == [set(), {A}, {A}, set()]


def test_the_venues_active_beats_the_clock() -> None:
    markets = board()

    markets.learn_listed([listed(status="active", open_s=100, close_s=200)], now_ns=900 * S)

    assert markets.wanted() == {A}
    assert markets.turn(901 * S) == []


def test_an_active_market_closes_by_the_clock_later() -> None:
    markets = board()
    markets.learn_listed([listed(status="active")], now_ns=150 * S)

    assert markets.turn(200 * S) == [Turned(A, 200 * S, is_open=False)]


def test_a_market_that_came_and_went_unheard_does_not_open() -> None:
    markets = board()
    markets.learn_listed([listed()], now_ns=300 * S)

    assert markets.turn(300 * S) == []


def test_an_earlier_closing_date_closes_the_market() -> None:
    markets = board()
    markets.learn_listed([listed(status="active", close_s=10_000)], now_ns=150 * S)

    markets.learn(Lifecycle(A, "close_date_updated", close_ts=160))

    assert markets.turn(161 * S) == [Turned(A, 160 * S, is_open=False)]


def test_a_closing_that_is_put_off_opens_the_market_again() -> None:
    markets = board()
    markets.learn(created())
    markets.turn(150 * S)
    markets.turn(200 * S)

    markets.learn(Lifecycle(A, "close_date_updated", close_ts=900))

    assert markets.turn(300 * S) == [Turned(A, 300 * S, is_open=True)]
    assert markets.turn(900 * S) == [Turned(A, 900 * S, is_open=False)]


def test_a_created_market_is_known_before_rest_lists_it() -> None:
    markets = board()
    markets.learn(created())
    markets.turn(120 * S)

    markets.learn_listed([listed(status="active")], now_ns=121 * S)

    assert markets.wanted() == {A}


def test_a_determined_market_stays_over_though_rest_lags_behind() -> None:
    markets = board()
    markets.learn_listed([listed(status="active")], now_ns=150 * S)
    markets.learn(Lifecycle(A, "determined"))
    markets.forget_over(201 * S)

    markets.learn_listed([listed(status="active")], now_ns=202 * S)

    assert markets.wanted() == set()
    assert markets.forget_over(201 * S + REMEMBER_OVER_NS) == [A]


def test_a_market_closed_for_a_day_is_forgotten() -> None:
    markets = board()
    markets.learn(created())

    assert markets.forget_over(200 * S + FORGET_AFTER_NS - 1) == []
    assert markets.forget_over(200 * S + FORGET_AFTER_NS) == [A]
    assert markets.turn(150 * S) == []


def test_markets_outside_the_patterns_are_not_kept() -> None:
    markets = board(series=frozenset({"KXETH"}))

    markets.learn(created())
    markets.learn_listed([listed(status="active")], now_ns=0)

    assert markets.wanted() == set()


def test_news_of_an_unknown_market_is_no_market() -> None:
    markets = board()

    markets.learn(Lifecycle(A, "close_date_updated", close_ts=160))
    markets.learn(Lifecycle(A, "determined"))

    assert markets.turn(100 * S) == []


def test_a_market_without_times_waits_for_the_venue() -> None:
    markets = board()
    markets.learn(Lifecycle(A, "created"))

    assert markets.turn(10**18) == []
    assert markets.forget_over(10**18) == []


@pytest.mark.parametrize("status", ["determined", "finalized", "settled", None])
def test_a_market_that_ended_unheard_is_not_wanted(status: str | None) -> None:
    markets = board()
    markets.learn_listed([listed(status="active")], now_ns=150 * S)

    markets.learn_asked([A], [listed(status=status)] if status else [], now_ns=160 * S)

    assert markets.wanted() == set()
    assert markets.turn(161 * S) == []


def test_a_market_that_closed_unheard_may_open_again() -> None:
    markets = board()
    markets.learn_listed([listed(status="active")], now_ns=150 * S)

    markets.learn_asked([A], [listed(status="closed")], now_ns=160 * S)
    assert (markets.wanted(), markets.turn(161 * S)) == (set(), [])

    markets.learn(Lifecycle(A, "close_date_updated", close_ts=900))
    markets.turn(170 * S)
    assert markets.wanted() == {A}


@pytest.mark.parametrize("status", ["active", "inactive", "brand_new"])
def test_a_market_that_only_pauses_is_wanted_still(status: str) -> None:
    markets = board()
    markets.learn_listed([listed(status="active")], now_ns=150 * S)

    markets.learn_asked([A], [listed(status=status)], now_ns=160 * S)

    assert markets.wanted() == {A}

"""/v1/markets as a client sees it."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from registry.models import Feed
from secmaster.lookup import find_markets
from secmaster.models import Market

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed() -> Feed:
    feed = Feed.objects.create(name="kalshi", feed_type="websocket")
    for ticker, status in (("KXBTC-A", "active"), ("KXBTC-B.5", "closed"), ("KXETH-A", "active")):
        Market.objects.create(
            feed=feed,
            ticker=ticker,
            kalshi_id=ticker,
            title=ticker,
            status=status,
            series_ticker=ticker.partition("-")[0],
        )
    return feed


def get(path: str, *, status: int = 200) -> Any:
    answer = Client().get(path)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_markets_are_filtered(feed: Feed) -> None:
    document = get("/v1/markets?feed=kalshi&status=active&series=KXBTC")

    assert [row["ticker"] for row in document["results"]] == ["KXBTC-A"]


def test_without_an_applied_environment_the_feed_must_be_named(feed: Feed) -> None:
    problem = get("/v1/markets", status=400)

    assert (problem["parameter"], problem["valid_values"]) == ("feed", ["kalshi"])


def test_a_ticker_with_a_dot_is_a_ticker(feed: Feed) -> None:
    assert get("/v1/markets/KXBTC-B.5?feed=kalshi")["status"] == "closed"


@pytest.mark.parametrize("ticker", ["KXBTC-AA", "kxbtc-a"])
def test_a_market_that_does_not_exist_is_a_problem_with_a_near_one(feed: Feed, ticker: str) -> None:
    assert get(f"/v1/markets/{ticker}?feed=kalshi", status=404)["did_you_mean"] == "KXBTC-A"


def test_a_status_that_does_not_exist_is_refused(feed: Feed) -> None:
    assert "active" in get("/v1/markets?feed=kalshi&status=open", status=400)["valid_values"]


def test_a_market_is_shown_as_it_was(feed: Feed) -> None:
    market = Market.objects.get(ticker="KXBTC-A")
    before = timezone.now().isoformat().replace("+00:00", "Z")
    market.status = "closed"
    market.save()

    assert get(f"/v1/markets/KXBTC-A?feed=kalshi&as_of={before}")["status"] == "active"
    assert get("/v1/markets/KXBTC-A?feed=kalshi")["status"] == "closed"
    rows = get(f"/v1/markets?feed=kalshi&as_of={before}&status=active")["results"]
    assert [row["ticker"] for row in rows] == ["KXBTC-A", "KXETH-A"]


def test_markets_are_looked_up_with_suggestions(feed: Feed) -> None:
    known, near = find_markets("kalshi", ["KXETH-A", "KXETH-B"])

    assert (known, near) == ({"KXETH-A"}, {"KXETH-B": "KXETH-A"})

"""Market pages into tables: upserts by ticker, history only for real changes, nothing guessed."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from registry.models import Feed
from secmaster.models import Market, MarketHistory, MarketSync
from secmaster.preflight import market_known
from secmaster.sync import sync_markets

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name="kalshi-sim", feed_type="websocket", simulated=True)


def row(ticker: str = "KXGOLD15M-26AUG102130-30", **changes: Any) -> dict[str, Any]:
    return {
        "ticker": ticker,
        "event_ticker": "KXGOLD15M-26AUG102130",
        "title": "Gold",
        "status": "active",
        "result": "",
        "open_time": "2026-08-11T01:15:00Z",
        "close_time": "2026-08-11T01:30:00.25Z",
        "latest_expiration_time": "0001-01-01T00:00:00Z",
        "floor_strike": 4414.4,
        "yes_bid_dollars": "0.4200",
        "volume_fp": "3.00",
        "rules_primary": "If gold ...",
        **changes,
    }


def test_a_listed_market_becomes_a_row(feed: Feed) -> None:
    sync_markets(feed, [[row()]], {"KXGOLD15M": "Commodities"})

    market = Market.objects.get()
    assert (market.kalshi_id, market.series_ticker) == (market.ticker, "KXGOLD15M")
    assert (market.category, market.result, market.expiration_time) == ("Commodities", None, None)
    assert str(market.floor_strike) == "4414.40000000"
    assert market.close_time is not None and market.close_time.microsecond == 250_000


def test_prices_and_volumes_are_no_description(feed: Feed) -> None:
    sync_markets(feed, [[row()]])

    result = sync_markets(feed, [[row(yes_bid_dollars="0.9900", volume_fp="4.00")]])

    assert (result.changed, result.unchanged) == (0, 1)
    assert "yes_bid_dollars" not in (Market.objects.get().raw_metadata or {"yes_bid_dollars": "lost"})


def test_an_unchanged_market_writes_nothing(feed: Feed) -> None:
    pages = [[row(f"T-{number}") for number in range(20)]]
    sync_markets(feed, pages)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        sync_markets(feed, pages)

    written = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert [sql for sql in written if '"market_syncs"' not in sql] == []


def test_a_change_is_kept_by_field_and_in_the_history(feed: Feed) -> None:
    sync_markets(feed, [[row()]])

    sync_markets(feed, [[row(status="determined", result="yes")]])

    changes = MarketHistory.objects.values_list("field_name", "old_value", "new_value")
    assert ("status", "active", "determined") in changes
    assert ("result", None, "yes") in changes
    assert (
        "raw_metadata",
        '{"result": "", "status": "active"}',
        '{"result": "yes", "status": "determined"}',
    ) in changes
    assert list(Market.objects.get().history.values_list("status", flat=True)) == ["determined", "active"]


def test_a_page_costs_few_queries_however_large(feed: Feed) -> None:
    counts = []
    for size in (2, 100):
        with CaptureQueriesContext(connection) as queries:
            sync_markets(feed, [[row(f"S{size}-{number}") for number in range(size)]])
        counts.append(len(queries))

    # SQLite takes at most 999 values in one statement, so it needs a few more for a larger page.
    assert counts[1] <= counts[0] + 100 / 10


def test_an_unknown_status_is_counted_and_kept_out(feed: Feed) -> None:
    result = sync_markets(feed, [[row(status="napping"), row("OTHER")]])

    assert (result.created, dict(result.refused)) == (1, {"unknown status 'napping'": 1})


@pytest.mark.parametrize("ticker", ["", "X" * 201, None, 7])
def test_a_ticker_that_cannot_be_kept_is_counted(feed: Feed, ticker: Any) -> None:
    assert sync_markets(feed, [[row(ticker)]]).refused.total() == 1


def test_a_ticker_may_have_200_characters(feed: Feed) -> None:
    assert sync_markets(feed, [[row("X" * 200)]]).created == 1


def test_a_market_that_comes_twice_is_one(feed: Feed) -> None:
    sync_markets(feed, [[row(), row()], [row()]])

    assert Market.objects.count() == 1


def test_every_status_of_the_venue_is_known(feed: Feed) -> None:
    result = sync_markets(feed, [[row(status, status=status) for status in Market.Status.values]])

    assert (result.created, len(Market.Status.values)) == (8, 8)


def test_the_same_ticker_of_two_feeds_is_two_markets(feed: Feed) -> None:
    real = Feed.objects.create(name="kalshi", feed_type="websocket")

    for source in (feed, real):
        sync_markets(source, [[row()]])

    assert Market.objects.count() == 2


def test_a_misspelt_ticker_is_answered_with_the_nearest(feed: Feed) -> None:
    sync_markets(feed, [[row()]])

    assert market_known("kalshi-sim", "KXGOLD15M-26AUG102130-3")[0].did_you_mean == "KXGOLD15M-26AUG102130-30"
    assert market_known("kalshi-sim", "KXGOLD15M-26AUG102130-30") == []


def test_a_market_that_ended_unseen_is_closed_with_its_history(feed: Feed) -> None:
    sync_markets(feed, [[row("ENDED"), row("LISTED"), row("AHEAD", close_time="2999-01-01T00:00:00Z")]])
    sync_markets(feed, [[row("DONE", status="finalized")]])
    Market.objects.update(status="active")
    Market.objects.filter(ticker="DONE").update(status="finalized")

    result = sync_markets(feed, [[row("LISTED")]])

    assert result.closed == 1
    assert dict(Market.objects.values_list("ticker", "status")) == {
        "ENDED": "closed",
        "LISTED": "active",
        "AHEAD": "active",
        "DONE": "finalized",
    }
    market = Market.objects.get(ticker="ENDED")
    assert market.changes.filter(field_name="status", new_value="closed").exists()
    assert market.history.first().status == "closed"


def test_a_sync_that_is_broken_off_keeps_what_it_has_and_counts_as_none(feed: Feed) -> None:
    sync_markets(feed, [[row("ENDED")]])
    begun = MarketSync.objects.get().begun_at

    def pages() -> Iterator[list[dict[str, Any]]]:
        yield [row("NEW")]
        raise InterruptedError

    with pytest.raises(InterruptedError):
        sync_markets(feed, pages())
    assert set(Market.objects.values_list("ticker", "status")) == {("ENDED", "active"), ("NEW", "active")}
    assert MarketSync.objects.get().begun_at == begun


def test_a_venue_that_lists_nothing_closes_nothing(feed: Feed) -> None:
    sync_markets(feed, [[row()]])

    assert sync_markets(feed, [[]]).closed == 0
    assert sync_markets(feed, []).closed == 0

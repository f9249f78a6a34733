"""Events into the tables: in one transaction with the position, in bulk, and only what really changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from registry.models import Feed
from secmaster import follower, lookups
from secmaster.follower import Followed, Overtaken, follow, sync_is_wanted, turn_clock
from secmaster.lifecycle import Told
from secmaster.models import FollowerPosition, Market, MarketHistory, MarketLookup, MarketNotice
from secmaster.sync import sync_markets
from tests.secmaster.told import TICKER, at, created, determined, stand, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name="kalshi-sim", feed_type="websocket", simulated=True)


def take(feed: Feed, *events: Told) -> Followed:
    before = follower.stand_of(feed)
    return follow(feed, events, before=before, after=stand((before.seq if before else 0) + len(events)))


def row(ticker: str = TICKER, **changes: Any) -> dict[str, Any]:
    event = ticker.rpartition("-")[0]
    return {"ticker": ticker, "event_ticker": event, "title": "Gold", "status": "active", **changes}


def notices() -> list[tuple[str, str]]:
    return list(MarketNotice.objects.order_by("id").values_list("ticker", "change"))


def test_a_markets_whole_life_is_followed(feed: Feed) -> None:
    take(feed, created())
    take(feed, told("open", 60, by_clock=True), told("closed", 360, by_clock=True))
    take(feed, determined(363), told("settled", 368, said_at=at(368)))

    market = Market.objects.get()
    assert (market.status, market.result, str(market.settlement_value)) == ("finalized", "yes", "1.0000")
    assert market.settled_at == at(368)
    statuses = MarketHistory.objects.filter(field_name="status").order_by("id")
    assert list(statuses.values_list("new_value", flat=True)) == [
        "active", "closed", "determined", "finalized",
    ]  # fmt: skip
    assert notices() == [(TICKER, "created"), *[(TICKER, "status")] * 4]


def test_a_life_that_comes_in_one_batch_leaves_the_same_changes(feed: Feed) -> None:
    take(feed, created(), told("open", 60, by_clock=True), determined(363))

    assert [change for _, change in notices()] == ["created", "status", "status"]
    statuses = MarketHistory.objects.filter(field_name="status").order_by("id")
    assert list(statuses.values_list("new_value", flat=True)) == ["active", "determined"]
    assert Market.objects.get().history.first().status == "determined"


def test_a_change_names_the_event_that_caused_it(feed: Feed) -> None:
    take(feed, created())
    take(feed, determined(363))

    assert MarketHistory.objects.filter(cause=determined(363).cause).count() == 3
    body = MarketNotice.objects.latest("id").body
    assert (body["cause"], body["fields"]["status"]) == (
        determined(363).cause,
        ["initialized", "determined"],
    )
    assert (body["market"]["result"], body["market"]["settlement_value"]) == ("yes", "1")


def test_the_position_moves_with_the_rows_or_not_at_all(feed: Feed) -> None:
    take(feed, created())

    with pytest.raises(RuntimeError), transaction.atomic():
        take(feed, determined(363))
        raise RuntimeError
    assert FollowerPosition.objects.get().seq == 1
    assert Market.objects.get().status == "initialized"
    assert notices() == [(TICKER, "created")]


def test_who_is_overtaken_by_another_follower_writes_nothing(feed: Feed) -> None:
    take(feed, created())

    with pytest.raises(Overtaken), transaction.atomic():
        follow(feed, [determined(363)], before=None, after=stand(2))
    with pytest.raises(Overtaken), transaction.atomic():
        follow(feed, [determined(363)], before=stand(7), after=stand(8))
    assert Market.objects.get().status == "initialized"


def test_an_event_that_comes_again_writes_nothing_but_the_position(feed: Feed) -> None:
    take(feed, created(), told("open", 60, by_clock=True))
    MarketNotice.objects.all().delete()
    MarketLookup.objects.all().delete()

    with CaptureQueriesContext(connection) as queries:
        take(feed, created(), told("open", 60, by_clock=True))

    written = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert [sql for sql in written if "market_follower_positions" not in sql] == []
    assert FollowerPosition.objects.get().seq == 4


def test_a_late_event_is_counted_and_moves_nothing(feed: Feed) -> None:
    take(feed, created(), told("open", 60), told("closed", 360))

    assert take(feed, told("halted", 50), told("open", 300)).late == 1
    assert Market.objects.get().status == "closed"


def test_a_batch_costs_few_queries_however_large(feed: Feed) -> None:
    counts = []
    for size in (2, 100):
        batch = [created(ticker=f"KX{size}-E-{number}") for number in range(size)]
        with CaptureQueriesContext(connection) as queries:
            take(feed, *batch)
        counts.append(len(queries))

    assert counts[1] <= counts[0] + 100 / 5  # SQLite takes at most 999 values in one statement


def test_a_market_that_nobody_knew_is_looked_up_once_for_its_event(feed: Feed) -> None:
    take(feed, *(created(number, ticker=f"KXGOLD-E-{number}") for number in range(5)))
    take(feed, told("open", 60, ticker="KXGOLD-E-9"))

    [lookup] = MarketLookup.objects.all()
    assert (lookup.event_ticker, len(lookup.tickers)) == ("KXGOLD-E", 6)


@pytest.mark.parametrize("kind", ["changed", "unknown"])
def test_a_market_of_which_no_row_can_be_made_is_looked_up(feed: Feed, kind: str) -> None:
    take(feed, told(kind))

    assert (Market.objects.count(), MarketLookup.objects.get().tickers) == (0, [TICKER])


def test_a_word_that_we_do_not_know_makes_a_known_market_be_looked_up(feed: Feed) -> None:
    sync_markets(feed, [[row()]])
    take(feed, told("unknown"))

    assert MarketLookup.objects.get().event_ticker == "KXGOLD15M-26AUG102130"


def test_a_look_up_completes_the_market_and_is_gone(feed: Feed) -> None:
    take(feed, created())
    [lookup] = lookups.due(feed, timezone.now() + lookups.FIRST_AFTER)

    assert lookups.answered(lookup, [row(status="active", rules_primary="If")], {"KXGOLD15M": "C"}, at(2))

    market = Market.objects.get()
    assert (market.title, market.category, MarketLookup.objects.count()) == ("Gold", "C", 0)


def test_a_look_up_that_finds_nothing_is_put_off_and_in_the_end_given_up(feed: Feed) -> None:
    take(feed, created())
    lookup = MarketLookup.objects.get()
    assert lookups.due(feed, lookup.due_at - timedelta(seconds=1)) == []

    for _ in range(lookups.MOST_ATTEMPTS - 1):
        assert not lookups.answered(lookup, [], {}, at(0))
    assert lookups.waiting(feed) == 1
    assert lookups.failed(lookup, "no answer", at(0))

    lookup.refresh_from_db()
    assert (lookup.attempts, lookup.given_up_at, lookup.last_error) == (20, at(0), "no answer")
    assert lookups.due(feed, timezone.now() + timedelta(days=9)) == []


def test_what_was_given_up_is_taken_up_by_a_new_event(feed: Feed) -> None:
    take(feed, created())
    MarketLookup.objects.update(attempts=20, given_up_at=timezone.now())

    take(feed, created(ticker="KXGOLD15M-26AUG102130-45"))

    lookup = MarketLookup.objects.get()
    assert (lookup.attempts, lookup.given_up_at, len(lookup.tickers)) == (0, None, 2)


def test_pauses_grow_to_five_minutes() -> None:
    assert lookups.pause_seconds(1) <= 2
    assert 150 <= lookups.pause_seconds(19) <= lookups.LONGEST_PAUSE_SECONDS


def test_a_sync_does_not_undo_what_an_event_just_said(feed: Feed) -> None:
    sync_markets(feed, [[row()]])
    now = timezone.now()
    take(feed, replace(determined(0), received_at=now, said_at=now))

    sync_markets(feed, [[row(status="closed", result="")]])

    assert Market.objects.values_list("status", "result").get() == ("determined", "yes")


def test_changes_of_a_sync_go_out_as_well(feed: Feed) -> None:
    sync_markets(feed, [[row()]])
    sync_markets(feed, [[row(title="Gold!")]])
    sync_markets(feed, [[row(title="Gold!", status="closed")]])

    assert [change for _, change in notices()] == ["created", "changed", "status"]
    assert MarketNotice.objects.latest("id").body["cause"] == "market sync"


def test_markets_turn_by_the_clock_where_no_event_tells(feed: Feed) -> None:
    now = timezone.now()
    for ticker, status, opens, closes in (
        ("OPENS", "initialized", -10, 300), ("CLOSES", "active", -300, -10), ("AHEAD", "initialized", 10, 300),
        ("NOW", "initialized", -1, 300), ("OVER", "finalized", -300, -10), ("HALTED", "inactive", -300, 300),
    ):  # fmt: skip
        Market.objects.create(
            feed=feed, ticker=ticker, kalshi_id=ticker, title=ticker, status=status,
            open_time=now + timedelta(seconds=opens), close_time=now + timedelta(seconds=closes),
        )  # fmt: skip

    assert turn_clock(feed, now) == 2
    assert dict(Market.objects.values_list("ticker", "status")) == {
        "OPENS": "active", "CLOSES": "closed", "AHEAD": "initialized", "NOW": "initialized", "OVER": "finalized",
        "HALTED": "inactive",
    }  # fmt: skip
    assert sorted(notices()) == [("CLOSES", "status"), ("OPENS", "status")]
    assert turn_clock(feed, now) == 0


def test_a_sync_is_wanted_until_one_begins_later(feed: Feed) -> None:
    follow(feed, [], before=None, after=stand(1, sync_wanted_at=timezone.now()))
    assert sync_is_wanted(feed)

    sync_markets(feed, [[row()]])

    assert not sync_is_wanted(feed)


def test_nothing_is_wanted_of_a_feed_that_nobody_follows(feed: Feed) -> None:
    assert not sync_is_wanted(feed)

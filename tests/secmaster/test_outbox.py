"""What is published: in order for each market, once, and not for ever."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from registry.models import Feed
from secmaster import outbox
from secmaster.models import MarketNotice
from secmaster.outbox import Waiting, waves


def waiting(*tickers: str) -> list[Waiting]:
    return [Waiting(number, ticker, "status", "", b"") for number, ticker in enumerate(tickers)]


def test_no_notice_is_on_its_way_beside_another_of_its_market() -> None:
    found = [[one.ticker for one in wave] for wave in waves(waiting("A", "B", "A", "C", "A", "B"))]

    assert found == [["A", "B", "C"], ["A", "B"], ["A"]]


def test_the_notices_of_a_market_keep_their_order() -> None:
    numbers = [one.pk for wave in waves(waiting("A", "B", "A", "A")) for one in wave if one.ticker == "A"]

    assert numbers == [0, 2, 3]


@pytest.fixture
def feed(db: None) -> Feed:
    return Feed.objects.create(name="kalshi-sim", feed_type="websocket", simulated=True)


def notice(feed: Feed, *, days: float = 0) -> MarketNotice:
    written = timezone.now() - timedelta(days=days)
    return MarketNotice.objects.create(
        feed=feed, change="created", ticker="A", body={"ticker": "A"}, written_at=written
    )


def test_a_notice_is_there_until_it_is_published(feed: Feed) -> None:
    first, second = notice(feed), notice(feed)

    [one, other] = outbox.oldest(feed)
    assert json.loads(one.payload) == {"id": first.pk, "ticker": "A"}
    assert one.identity != other.identity
    outbox.published([one.pk])

    assert [left.pk for left in outbox.oldest(feed)] == [second.pk]


def test_a_database_that_was_made_anew_gives_other_identities(feed: Feed) -> None:
    old = notice(feed, days=1)
    again = MarketNotice(pk=old.pk, feed=feed, change="created", ticker="A", body={})

    assert old.identity != again.identity


def test_another_feeds_notices_are_not_taken(feed: Feed) -> None:
    notice(Feed.objects.create(name="kalshi", feed_type="websocket"))

    assert outbox.oldest(feed) == []


def test_what_nobody_published_in_three_days_is_removed(feed: Feed) -> None:
    notice(feed, days=4)
    fresh = notice(feed, days=2)

    assert outbox.expire(feed, timezone.now()) == 1
    assert [one.pk for one in outbox.oldest(feed)] == [fresh.pk]

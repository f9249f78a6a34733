"""From the outbox to the bus: once, in order, and only what the bus has is removed."""

import asyncio
from functools import partial

import pytest
from nats.js.errors import APIError, NoStreamResponseError

from secmaster import outbox
from secmaster.models import MarketNotice
from ssmd.market_database import Database
from ssmd.market_publisher import OutboxPublisher
from tests.ssmd.follower.conftest import Scene


def write(scene: Scene, *tickers: str) -> None:
    for number, ticker in enumerate(tickers):
        MarketNotice.objects.create(
            feed=scene.feed, change="status", ticker=ticker, body={"ticker": ticker, "number": number}
        )


async def publish(scene: Scene) -> None:
    publisher = OutboxPublisher(scene.feed, scene.stream, Database(scene.feed.name))
    await publisher.publish(scene.client, asyncio.Event(), until_empty=True)


async def test_each_markets_changes_are_published_in_their_order(scene: Scene) -> None:
    await scene.ask(partial(write, scene, *"ABACABBBAC"))

    await publish(scene)

    changes = await scene.published()
    for ticker, numbers in {"A": [0, 2, 4, 8], "B": [1, 5, 6, 7], "C": [3, 9]}.items():
        assert [one["number"] for one in changes if one["ticker"] == ticker] == numbers
    assert await scene.ask(MarketNotice.objects.count) == 0


async def test_what_the_bus_had_already_is_not_stored_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.ask(partial(write, scene, "A", "B"))
    with monkeypatch.context() as dying:
        dying.setattr(outbox, "published", lambda _: None)
        await asyncio.wait_for(_once(scene), 5)
    assert await scene.ask(MarketNotice.objects.count) == 2

    await publish(scene)

    assert len(await scene.published()) == 2


async def _once(scene: Scene) -> None:
    publisher = OutboxPublisher(scene.feed, scene.stream, Database(scene.feed.name))
    waiting = await scene.ask(partial(outbox.oldest, scene.feed))
    await publisher._send(scene.js, waiting)


async def test_nothing_is_removed_that_no_stream_took(scene: Scene) -> None:
    await scene.ask(partial(write, scene, "A", "B"))
    await scene.js.delete_stream(scene.stream)

    with pytest.raises((NoStreamResponseError, APIError)):
        await publish(scene)
    assert await scene.ask(MarketNotice.objects.count) == 2

    await scene.make_stream()
    await publish(scene)
    assert len(await scene.published()) == 2

"""From the bus into the tables: from where it stopped, whatever happened to the stream meanwhile."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from prometheus_client import REGISTRY

from secmaster import follower
from secmaster.models import FollowerPosition, Market, MarketHistory, MarketNotice, MarketSync
from secmaster.position import BEFORE
from secmaster.sync import sync_markets
from ssmd import market_reader
from ssmd.market_bus import TROUBLE
from ssmd.market_database import Database
from streaming import subjects, wire
from streaming.events import GapNotice, Status
from tests.ssmd.follower.conftest import Scene

DETAILS = '{"event_type":"created","additional_metadata":{"event_ticker":"KXA-E","title":"A?"}}'


def metric(scene: Scene, name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"ssmd_follower_{name}", {"feed": scene.feed.name, **labels}) or 0.0


async def test_events_become_rows_and_their_changes_are_published_in_order(scene: Scene) -> None:
    await scene.tell("KXA-E-1", Status.CREATED, details=DETAILS)
    await scene.tell("KXA-E-1", Status.OPEN, 60, by_clock=True)
    await scene.tell("KXA-E-1", Status.DETERMINED, 360, result="yes", settlement_e4=10_000)

    await scene.follow()

    changes = await scene.published()
    assert [(one["ticker"], one["change"]) for one in changes] == [
        ("KXA-E-1", "created"), ("KXA-E-1", "status"), ("KXA-E-1", "status"),
    ]  # fmt: skip
    assert changes[0]["market"]["title"] == "A?"
    assert (changes[2]["fields"]["status"], changes[2]["market"]["result"]) == (
        ["active", "determined"],
        "yes",
    )
    assert await scene.ask(MarketNotice.objects.count) == 0
    assert metric(scene, "events_total", kind="created") == 1
    assert metric(scene, "published_total") == 3


async def test_a_follower_goes_on_where_the_last_one_stopped(scene: Scene) -> None:
    await scene.tell("KXA-E-1", Status.CREATED)
    await scene.follow()
    await scene.tell("KXA-E-1", Status.CLOSED, 10)

    await scene.follow()

    assert metric(scene, "events_total", kind="created") == 1
    assert await scene.statuses() == {"KXA-E-1": "closed"}


async def test_the_first_one_begins_at_the_last_sync_and_not_at_the_streams_beginning(scene: Scene) -> None:
    await scene.tell("KXOLD-E-1", Status.CREATED)
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    later = timezone.now() + BEFORE + timedelta(milliseconds=50)
    await scene.ask(lambda: MarketSync.objects.update(begun_at=later))
    await asyncio.sleep(0.1)
    await scene.tell("KXNEW-E-1", Status.CREATED)

    await scene.follow()

    assert await scene.statuses() == {"KXNEW-E-1": "initialized"}


async def test_a_stream_that_was_made_anew_is_read_and_a_sync_wanted(scene: Scene) -> None:
    for number in range(3):
        await scene.tell(f"KXA-E-{number}", Status.CREATED)
    await scene.follow()
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    await scene.js.delete_stream(scene.stream)
    await scene.make_stream()
    await scene.tell("KXA-E-9", Status.CREATED)

    await scene.follow()

    assert "KXA-E-9" in await scene.statuses()
    assert metric(scene, "new_lives_total") == 1
    assert await scene.ask(lambda: follower.sync_is_wanted(scene.feed))
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    assert not await scene.ask(lambda: follower.sync_is_wanted(scene.feed))


async def test_a_stream_that_is_made_anew_while_it_is_read_is_noticed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_reader, "LOOK_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(market_reader, "FETCH_SECONDS", 0.05)
    reader = market_reader.Reader(scene.feed, scene.stream, Database(scene.feed.name))
    reading = asyncio.create_task(reader.read(scene.client, asyncio.Event()))
    await scene.tell("KXA-E-1", Status.CREATED)
    while not await scene.statuses():
        await asyncio.sleep(0.05)

    await scene.js.delete_stream(scene.stream)
    await scene.make_stream()

    with pytest.raises(TROUBLE):
        await reading


async def test_events_that_were_gone_before_they_were_read_are_a_hole_and_a_sync_is_wanted(
    scene: Scene,
) -> None:
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    await scene.tell("KXA-E-1", Status.CREATED)
    await scene.follow()
    for number in range(2, 6):
        await scene.tell(f"KXA-E-{number}", Status.CREATED)
    await scene.js.purge_stream(scene.stream, seq=await last_seq(scene))

    await scene.follow()

    assert metric(scene, "stream_holes_total") == 1
    assert await scene.ask(lambda: follower.sync_is_wanted(scene.feed))
    assert set(await scene.statuses()) == {"KXA-E-1", "KXA-E-5"}


async def test_what_is_no_lifecycle_event_may_go_without_a_hole(scene: Scene) -> None:
    await scene.tell("KXA-E-1", Status.CREATED)
    for number in range(50):
        await scene.send(f"{scene.feed.name}.ticker.KXA-E-1", b"", f"t-{number}")
    await scene.follow()
    await scene.js.purge_stream(scene.stream, seq=51)

    await scene.tell("KXA-E-2", Status.CREATED)
    await scene.follow()

    assert len(await scene.statuses()) == 2
    assert metric(scene, "stream_holes_total") == 0


async def test_what_cannot_be_read_is_counted_passed_over_and_answered_by_a_sync(scene: Scene) -> None:
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    await scene.tell("KXA-E-1", Status.CREATED)
    await scene.send(f"{scene.feed.name}.status.KXBAD", b"no message", "bad")
    await scene.tell("KXA-E-2", Status.CREATED)

    await scene.follow()

    assert set(await scene.statuses()) == {"KXA-E-1", "KXA-E-2"}
    assert metric(scene, "events_total", kind="unreadable") == 1
    assert await scene.ask(lambda: follower.sync_is_wanted(scene.feed))


@pytest.mark.parametrize(
    ("changes", "is_wanted"),
    [
        ({}, True),
        ({"channel": "lifecycle"}, True),
        ({"to_ns": None}, False),
        ({"channel": "orderbook"}, False),
        ({"tickers": ("KXA-E-1",)}, False),
    ],
)
async def test_a_gap_of_the_connector_is_answered_by_a_sync_once_it_is_over(
    scene: Scene, changes: dict[str, Any], is_wanted: bool
) -> None:
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    lost = {
        "cause": "connection_lost",
        "session": "s",
        "number": 9,
        "connection": 1,
        "from_ns": 1,
        "to_ns": 2,
    }
    gap = GapNotice(**{**lost, **changes})
    await scene.send(subjects.address(scene.feed.name, gap), wire.encode(gap), "gap")

    await scene.follow()

    assert await scene.ask(lambda: follower.sync_is_wanted(scene.feed)) is is_wanted
    assert metric(scene, "gaps_total") == is_wanted


async def test_a_new_session_of_the_connector_is_answered_by_a_sync(scene: Scene) -> None:
    await scene.ask(lambda: sync_markets(scene.feed, [[]]))
    await scene.tell("KXA-E-1", Status.CREATED)
    await scene.follow()
    assert not await scene.ask(lambda: follower.sync_is_wanted(scene.feed))

    await scene.tell("KXA-E-2", Status.CREATED, session="another")
    await scene.tell("KXA-E-3", Status.CREATED)
    await scene.tell("KXA-E-4", Status.CREATED, session="another")
    await scene.follow()

    assert await scene.ask(lambda: follower.sync_is_wanted(scene.feed))
    assert metric(scene, "gaps_total") == 1


async def test_one_event_that_the_database_refuses_does_not_hold_up_the_others(scene: Scene) -> None:
    for number in range(5):
        details = DETAILS.replace("A?", "A\\ud800") if number == 3 else DETAILS
        await scene.tell(f"KXA-E-{number}", Status.CREATED, details=details)

    await scene.follow()

    assert set(await scene.statuses()) == {"KXA-E-0", "KXA-E-1", "KXA-E-2", "KXA-E-4"}
    assert metric(scene, "events_total", kind="unreadable") == 1


async def test_combinations_of_users_are_left_out(scene: Scene) -> None:
    await scene.tell("KXMVESPORTS-S1-1", Status.CREATED)

    await scene.follow()

    assert await scene.statuses() == {}
    assert metric(scene, "events_total", kind="combination") == 1


async def test_more_than_a_batch_is_taken_in_to_the_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(market_reader, "BATCH", 20)
    for number in range(95):
        await scene.tell(f"KXA-E-{number % 30}", Status.CREATED if number < 30 else Status.OPEN, number)

    await scene.follow()

    assert metric(scene, "events_total", kind="open") == 65
    assert await scene.ask(MarketHistory.objects.filter(field_name="status").count) == 30
    assert (await scene.ask(FollowerPosition.objects.get)).seq >= 95


async def test_two_followers_at_once_write_nothing_twice(scene: Scene) -> None:
    for number in range(40):
        await scene.tell(f"KXA-E-{number}", Status.CREATED)

    outcomes = await asyncio.gather(scene.follow(), scene.follow(), return_exceptions=True)

    assert [one for one in outcomes if one is not None and not isinstance(one, follower.Overtaken)] == []
    await scene.follow()
    changes = await scene.published()
    assert len({one["id"] for one in changes}) == len(changes) == 40
    assert await scene.ask(Market.objects.count) == 40


async def last_seq(scene: Scene) -> int:
    return int((await scene.js.stream_info(scene.stream)).state.last_seq)

"""`ssmd market follow` as an operator starts it: it waits, goes on, and ends with the exit code of its kind."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest

from streaming import subjects, wire
from streaming.events import MarketStatus, Origin, Status
from streaming.transport import StreamSpec, ensure_stream
from tests.end_to_end.system import FEED, SSMD, STREAM, System
from tests.running import until

pytestmark = pytest.mark.slow


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[System]:
    """A bootstrapped registry; no bus, no venue."""
    one = System(tmp_path / "home")
    one.bootstrap()
    yield one
    one.stop_all()


def tell(one: System, ticker: str, n: int, status: Status = Status.CREATED) -> None:
    """Publish an event as the connector does."""

    async def publish() -> None:
        client = await nats.connect(f"nats://127.0.0.1:{one.nats_port}")
        await ensure_stream(client, StreamSpec(STREAM, FEED))
        event = MarketStatus(
            ticker, status, None, Origin(f"{FEED}-1", n, 0, 1_786_449_600_000_000_000 + n, 1)
        )
        headers = {"Nats-Msg-Id": event.origin.identity}
        await client.jetstream().publish(subjects.address(FEED, event), wire.encode(event), headers=headers)
        await client.close()

    asyncio.run(publish())


def markets(one: System) -> dict[str, Any]:
    with sqlite3.connect(one.home / "registry.sqlite3", timeout=20) as database:
        return dict(database.execute("SELECT ticker, status FROM markets"))


def test_it_waits_for_a_bus_and_a_stream_and_goes_on_after_both_were_away(alone: System) -> None:
    follower = alone.start("follower", SSMD, "market", "follow", "--env", "demo")
    until(lambda: "waiting for the bus" in alone.log("follower"), what="it waits")
    again = alone.ssmd("market", "follow")
    assert (again.returncode, "already" in again.stderr) == (5, True)

    alone.start_nats()
    tell(alone, "KXA-E-1", 1)
    until(lambda: "KXA-E-1" in markets(alone), what="the first event is taken in")
    alone.stop("nats")
    until(lambda: alone.log("follower").count("waiting for the bus") >= 2, what="it waits again")
    alone.start_nats()
    tell(alone, "KXA-E-1", 2, Status.OPEN)
    until(lambda: markets(alone)["KXA-E-1"] == "active", what="it goes on")

    # Somebody holds the database for a while.
    with sqlite3.connect(alone.home / "registry.sqlite3", timeout=20) as database:
        database.execute("BEGIN IMMEDIATE")
        tell(alone, "KXA-E-1", 3, Status.CLOSED)
        database.rollback()
    until(lambda: markets(alone)["KXA-E-1"] == "closed", what="it waits for the database, too")
    assert follower.poll() is None
    assert alone.stop("follower") == 0


def test_once_says_what_it_cannot_reach_and_takes_in_what_there_is(alone: System) -> None:
    no_bus = alone.ssmd("market", "follow", "--once")
    assert (no_bus.returncode, "cannot be read" in no_bus.stderr) == (6, True), no_bus.stderr
    alone.start_nats()
    no_stream = alone.ssmd("market", "follow", "--once")
    assert (no_stream.returncode, "is not on the bus" in no_stream.stderr) == (6, True), no_stream.stderr

    tell(alone, "KXA-E-1", 1)
    # Without a sync ever, one is wanted; the venue is not there.
    no_venue = alone.ssmd("market", "follow", "--once")
    assert (no_venue.returncode, "cannot be synced" in no_venue.stderr) == (6, True), no_venue.stderr
    assert markets(alone) == {"KXA-E-1": "initialized"}

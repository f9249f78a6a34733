"""D: the bus's store is not what it was: restored, grown again, made anew, purged, under a running connector."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from nats.js.errors import NotFoundError

from streaming import pace, publisher, transport
from streaming.store_watch import StoreWatch
from tests.faults.lossy_bus import Life, finish, life
from tests.faults.proof import Outcome, fault, prove, watched
from tests.running import NatsServer

Damage = Callable[[Life], Awaitable[None]]
HOLES = 'ssmd_connector_bus_holes_total{{feed="any",why="{}"}}'


async def _no_look(watch: StoreWatch, client: object) -> None:
    """A publisher that trusts every ack for ever."""


def proven(home: Path, damage: Damage, *, why: str, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The same life twice: with the publisher's looks at the bus, and without."""

    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched:
            patched.setattr(publisher, "LOOK_EVERY_SECONDS", 0.3)
            patched.setattr(pace, "ACK_WITHIN_SECONDS", 0.3)
            if not is_handled:
                patched.setattr(StoreWatch, "look", _no_look)
            return asyncio.run(_live(home / str(is_handled), damage, is_handled))

    return prove(scenario, gaps=("stream_hole",), metric=HOLES.format(why))


async def _live(home: Path, damage: Damage, is_handled: bool) -> Outcome:
    async with life(home) as one:
        with watched() as risen:
            await one.step()
            await one.copy_store()
            await one.step()
            await damage(one)
            await one.step()
            await one.until_marked(seconds=8 if is_handled else 1)
            await one.step()
            await finish(one)
        any_feed = {key.replace(one.feed, "any"): value for key, value in risen.items()}
        return await one.outcome(any_feed)


async def _restore(one: Life) -> None:
    await one.restore_store()
    await one.start_bus()


async def _restore_and_grow(one: Life) -> None:
    """Somebody else writes into the restored stream before the connector is back: the sequences rise past ours."""
    await one.restore_store()
    elsewhere = NatsServer(one.home / "nats")
    await asyncio.to_thread(elsewhere.start)
    other = await transport.connect(elsewhere.url, name="other")
    for _ in range(100):
        await other.jetstream().publish(f"{one.feed}.gap.other_session", b"")
    await other.jetstream().purge_stream(one.spec.name, subject=f"{one.feed}.gap.other_session")
    await other.close()
    await asyncio.to_thread(elsewhere.stop)
    await one.start_bus()


async def _make_anew(one: Life) -> None:
    client = await transport.connect(one.server.url, name="operator")
    await client.jetstream().delete_stream(one.spec.name)
    await transport.ensure_stream(client, one.spec)
    await client.close()


async def _delete(one: Life) -> None:
    """While nothing is published: only a look can tell, and the one who looks makes the stream again."""
    client = await transport.connect(one.server.url, name="operator")
    await client.jetstream().delete_stream(one.spec.name)
    for _ in range(20):
        await asyncio.sleep(0.1)
        with suppress(NotFoundError):
            await client.jetstream().stream_info(one.spec.name)
            break
    await client.close()


async def _purge(one: Life) -> None:
    client = await transport.connect(one.server.url, name="operator")
    await client.jetstream().purge_stream(one.spec.name)
    await client.close()


@fault("D1")
@pytest.mark.slow
def test_a_store_restored_from_a_copy_is_found_out_and_readers_get_whole_books(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _restore, why="rolled back", monkeypatch=monkeypatch)


@fault("D2")
@pytest.mark.slow
def test_a_restored_store_that_has_grown_past_our_last_message_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _restore_and_grow, why="rolled back", monkeypatch=monkeypatch)


@fault("D3")
@pytest.mark.slow
def test_a_stream_deleted_and_made_anew_is_another_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _make_anew, why="recreated", monkeypatch=monkeypatch)


@fault("D3")
@pytest.mark.slow
def test_a_deleted_stream_is_made_anew_by_the_publisher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _delete, why="deleted", monkeypatch=monkeypatch)


@fault("D4")
@pytest.mark.slow
def test_a_purged_stream_is_a_hole_and_not_the_end_of_its_retention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _purge, why="purged", monkeypatch=monkeypatch)

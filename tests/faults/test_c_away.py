"""C: the bus is away, dead or frozen; the capture log goes on, and what is sent again is stored once."""

import asyncio
import dataclasses
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from nats.aio.client import Client

from streaming import metrics, transport
from streaming.bus_connection import BusConnection
from streaming.events import Trade
from streaming.outbox import Outbox, _Message
from tests.faults.b_venue import Session, Venue, a_venue, config_for
from tests.faults.bus_faults import REPEATS, forget, proven, until
from tests.faults.capture_rig import Rig
from tests.faults.lossy_bus import HardNats, Life
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.recorder import FEED
from tests.oracle_of_bus import judge_trades
from tests.streaming.bus import published
from tests.streaming.kalshi.frames import frame, trade

TRADES = 40


async def _give_up(bus: BusConnection, given_up: asyncio.Event) -> Client:
    """A publisher that needs its bus at the start."""
    return await bus.reach()


async def _send_trades(venue: Venue, first: int) -> None:
    assert venue._open is not None
    for number in range(first, first + TRADES):
        await venue._send(venue._open, json.loads(trade("A", number)))


@fault("C1")
def test_a_session_that_starts_without_a_bus_records_and_publishes_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched:
            patched.setattr(transport, "CONNECT_WITHIN_SECONDS", 0.15)
            if not is_handled:
                patched.setattr(BusConnection, "until_reached", _give_up)
            return asyncio.run(_started_without(tmp_path / str(is_handled)))

    prove(
        scenario,
        gaps=(),
        metric=f'ssmd_connector_messages_published_total{{feed="{FEED}"}}',
        at_least=2 * TRADES,
    )


async def _started_without(home: Path) -> Outcome:
    home.mkdir()
    server = HardNats(home / "nats")
    try:
        return await _start_without(home, server)
    finally:
        await asyncio.to_thread(server.stop)


async def _start_without(home: Path, server: HardNats) -> Outcome:
    rig = Rig(home)
    also, position = list[str](), metrics.CONNECTOR_PUBLISHED_LAST_N.labels(FEED)
    position.set(0)
    async with a_venue(rig) as venue:
        session = Session(dataclasses.replace(config_for(rig, venue), nats_url=server.url))
        with watched() as risen:
            if not await session.until(lambda: venue._sids):
                also.append("nothing is subscribed without a bus")
            await _send_trades(venue, 1)
            recorded = await session.until(lambda: session.capture.frames >= TRADES)
            await asyncio.sleep(0.4)
            await asyncio.to_thread(server.start)
            await _send_trades(venue, TRADES + 1)
            await session.until(lambda: position._value.get() >= 2 * TRADES, seconds=3)
            await session.end()
    if not recorded:
        also.append("nothing is recorded without a bus")
    events = await published(server.url, f"ssmd-{FEED}")
    await asyncio.to_thread(rig.ship)
    outcome = rig.outcome(risen, *also)
    trades = [event for event in events if isinstance(event, Trade)]
    return dataclasses.replace(outcome, faults=(*outcome.faults, *judge_trades(rig.archive(), trades, [])))


async def _killed(one: Life) -> Sequence[str]:
    await one.step()
    for _ in range(2):
        one.server.signal(signal.SIGSTOP)  # so that some messages surely have no answer
        await one.step(is_published=False)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(one.server.kill)
        await one.step(is_published=False)
        await one.start_bus()
        await one.settle()
    return ()


@fault("C2")
@pytest.mark.slow
def test_a_bus_that_is_killed_in_a_burst_loses_nothing_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _killed, metric=REPEATS, off=forget, monkeypatch=monkeypatch)


async def _frozen(one: Life) -> Sequence[str]:
    await one.step()
    one.server.signal(signal.SIGSTOP)
    begun = time.monotonic()
    await one.step(is_published=False)
    is_noticed = await until(lambda: not one.client.is_connected, seconds=1.5)
    seconds = time.monotonic() - begun
    one.server.signal(signal.SIGCONT)
    await one.settle()
    return () if is_noticed else [f"nothing was noticed for {seconds:.1f} s"]


@fault("C3")
@pytest.mark.slow
def test_a_frozen_bus_is_noticed_and_what_it_took_meanwhile_is_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert transport.PING_SECONDS * (transport.MOST_PINGS + 1) <= 6

    def never(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(transport, "PING_SECONDS", 120)  # as the library has it

    monkeypatch.setattr(transport, "PING_SECONDS", 0.2)
    proven(tmp_path, _frozen, metric=REPEATS, off=never, monkeypatch=monkeypatch)


async def _without_acks(one: Life) -> Sequence[str]:
    """All arrives, and nobody learns of it: the answers are lost with the connection."""
    await one.step()
    before = one.log.last_n
    one.proxy.to_client.is_swallowing = True
    await one.step(is_published=False)
    async with one.operator() as js:
        async with asyncio.timeout(5):
            while (await js.stream_info(one.spec.name)).state.last_seq < before:
                await asyncio.sleep(0.02)
    await one.proxy.cut()
    one.proxy.to_client.is_swallowing = False
    await one.settle()
    return ()


def _with_a_new_identity(patched: pytest.MonkeyPatch) -> None:
    send = Outbox._send

    async def renamed(outbox: Outbox, token: int, message: _Message) -> None:
        await send(
            outbox, token, dataclasses.replace(message, identity=f"{message.identity}.{time.time_ns()}")
        )

    patched.setattr(Outbox, "_send", renamed)


@fault("C4")
def test_what_was_stored_and_not_acknowledged_is_stored_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(
        tmp_path,
        _without_acks,
        metric=REPEATS,
        off=_with_a_new_identity,
        monkeypatch=monkeypatch,
        is_proxied=True,
    )


async def _away_with_raw(one: Life) -> Sequence[str]:
    """A frame that makes no event goes to whoever listens to raw frames now, and to nobody later."""
    await one.step()
    await one.stop_bus()
    await until(lambda: not one.client.is_connected)
    one.record(*(frame("ok", sid=None, id=number) for number in range(500)))
    await one.step(is_published=False)
    await asyncio.sleep(0.3)
    held = one.client.pending_data_size
    await one.start_bus()
    await one.settle()
    return [f"{held} bytes wait in the library"] if held else []


@fault("C19")
def test_while_the_bus_is_away_nothing_piles_up_in_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_the_library_does(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(transport, "UNSENT_BYTES", 2 * 1024 * 1024)

    proven(
        tmp_path,
        _away_with_raw,
        metric='ssmd_connector_bus_raw_skipped_total{feed="any"}',
        at_least=500,
        off=as_the_library_does,
        monkeypatch=monkeypatch,
        with_raw=True,
    )

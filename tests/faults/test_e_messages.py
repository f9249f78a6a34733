"""The archiver's faults (group E) that lie in the messages: poison, no events, midnight, versions."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from archive import normalized_message, normalized_part
from archive.normalized_message import BusMessage, Sorted
from archive.normalized_part import EventsBuilder
from archive.store import DirectoryStore
from streaming import wire
from streaming.events import Event
from streaming.wire_schema import SCHEMA_FOLDER
from tests.archive.bus import (
    DAY_NS,
    NOON,
    SESSION,
    archive_all,
    bus,
    manifests_of,
    quarantined,
    trade,
    trades,
)
from tests.faults.archiving import lived_through
from tests.faults.proof import fault, prove
from tests.running import NatsServer

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
Found = tuple[Sequence[Event], Sequence[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


def _spoiled(kinds: int) -> Iterator[tuple[str, bytes]]:
    """(subject, payload) of messages that are no events: cut, grown, of nobody's subject, their words overwritten."""
    good = wire.encode(trade(1))
    for number in range(kinds):
        at = number % (len(good) // 4) * 4
        match number % 5:
            case 0:
                yield "kalshi-sim.trade.KXBTC-1=2E5", good[:at]
            case 1:
                yield "kalshi-sim.trade.KXBTC-1=2E5", good + b"x" * (number + 1)
            case 2:
                yield "kalshi-sim.trade.ANOTHER", good
            case 3:
                yield f"kalshi-sim.orderbook.{number}", b"\xff" * number
            case _:
                yield f"kalshi-sim.gap.{number}", good


def _sort_without_looking(message: BusMessage) -> Sorted:
    token = message.subject.split(".")[1]
    return Sorted(normalized_message.FILES.get(token, token), "v2", NOON, SESSION, 1)


@fault("E6")
def test_a_thousand_kinds_of_poison_hold_up_nothing(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published[:15])
            await asyncio.gather(*(one.js.publish(subject, data) for subject, data in _spoiled(1_000)))
            await one.publish(published[15:])
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(normalized_part, "sort", _sort_without_looking)
                await archive_all(server, store)
        held = len(quarantined(store))
        return published, [] if held == 1_000 else [f"{held} are in quarantine"]

    metric = 'ssmd_archiver_poison_messages_total{feed="kalshi-sim"}'
    prove(lived_through(life, tmp_path), gaps=(), metric=metric, at_least=1_000)


@fault("E7")
def test_a_part_without_an_event_moves_the_position_on(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 3)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            await archive_all(server, store)
            for number in range(5):
                await one.js.publish("kalshi-sim.secmaster.changed", b"%d" % number)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsBuilder, "is_empty", property(lambda self: True))
                await archive_all(server, store)
        position = max(part.position for part in manifests_of(store))
        return published, [] if position == 8 else [f"the position is {position}"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=3)


@fault("E8")
def test_a_batch_over_midnight_is_filed_by_the_days_of_receipt(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = NOON + DAY_NS // 2
    published = [trade(n, received_ns=midnight + (n - 20) * 37 * (-1) ** n) for n in range(1, 41)]

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(normalized_part, "_DAY_NS", 2 * DAY_NS)
                await archive_all(server, store)
        return published, []

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=40)


def _of_v1(number: int) -> bytes:
    import capnp

    schema = capnp.SchemaParser().load(str(SCHEMA_FOLDER / "market_data.v1.capnp"))
    message = schema.Trade.new_message(timestamp=NOON + number, ticker="KX", price=0.5, size=1, side="buy")
    return bytes(message.to_bytes())


@fault("E10")
def test_a_part_holds_one_version_of_the_schema(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 20)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            for event in published:
                await one.js.publish("kalshi-sim.trade.KX", _of_v1(event.origin.n))
                await one.publish([event])
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(normalized_message, "OLD_SCHEMA", "v2")
                await archive_all(server, store)
        rows = dict.fromkeys(("v1", "v2"), 0)
        for part in manifests_of(store):
            rows[part.schema] += part.rows
        return published, [] if rows == {"v1": 20, "v2": 20} else [f"rows by schema: {rows}"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=40)

"""The archiver's faults (group E): crashes, several at once, the bus's and the messages' oddities."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from nats.js.api import AckPolicy

from archive import archiver, normalized_message, normalized_part, normalized_read, pull
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage, Sorted
from archive.normalized_part import EventsBuilder
from archive.normalized_stand import Stand
from archive.pull import Puller
from archive.store import DirectoryStore
from streaming import wire
from streaming.events import Event
from streaming.wire_schema import SCHEMA_FOLDER
from tests.archive.bus import (
    DAY_NS,
    NOON,
    SESSION,
    STREAM,
    archive_all,
    archiving,
    bus,
    config,
    keys_of,
    manifests_of,
    quarantined,
    start_process,
    trade,
    trades,
)
from tests.faults.archiving import SlowDisk, lived_through, reaches
from tests.faults.proof import fault, prove, samples
from tests.running import NatsServer

TRADES = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
Found = tuple[Sequence[Event], Sequence[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


POINTS = ("after_fetch", "before_data", "after_data", "after_manifest", "after_part")


@fault("E1")
@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_it_goes_on_after_what_its_manifests_state(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str, count: int
) -> None:
    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        published = [trade(n, received_ns=NOON + DAY_NS // 2 + (n - 6) * 10**6) for n in range(1, 200)]
        async with bus(server) as one:
            failpoints = f"archiver.{point}=kill@{count}"
            process = start_process(server, store, failpoints=failpoints, part_seconds=0.05)
            for event in published[:-50]:  # one by one: many turns, many parts
                await one.publish([event])
                await asyncio.sleep(0.05)
                if process.poll() is not None:
                    break
            await reaches(lambda: process.poll() is not None)
            await one.publish(published)
            if not is_handled:  # a cursor that moves when a message is read, not when it is archived
                end = await one.last_seq()
                monkeypatch.setattr(
                    EventsCommitter, "stand", lambda self, created, days: Stand(created, end - 1)
                )
            await archive_all(server, store)
        monkeypatch.undo()
        return published, [] if process.returncode == -signal.SIGKILL else ["it was not killed"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES)


def _take_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalized_read, "_distinct", lambda rows: iter(rows))


@fault("E2")
@pytest.mark.parametrize("count", [3, 5])
def test_several_at_once_write_twice_and_are_read_once(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    published = trades(1, 400)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            stop = asyncio.Event()
            archivers = [
                archiver.Archiver(config(server, store, part_bytes=3_000 + 400 * number))
                for number in range(count)
            ]
            work = [asyncio.create_task(each.work(stop)) for each in archivers]
            await one.publish(published)
            await reaches(lambda: all(each.taken == 400 for each in archivers))
            stop.set()
            await asyncio.gather(*work)
        if not is_handled:
            _take_duplicates(monkeypatch)
        twice = sum(part.rows for part in manifests_of(store)) - 400
        return published, [] if twice > 0 else ["they did not overlap"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=400)


@fault("E3")
@pytest.mark.slow
def test_a_paused_archiver_does_no_harm_when_it_comes_back(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 60)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published[:20])
            paused = start_process(server, store, failpoints="archiver.before_data=stop@1", part_seconds=0.05)
            await reaches(lambda: _is_stopped(paused.pid))
            await one.publish(published[20:40])
            await archive_all(server, store)
            paused.send_signal(signal.SIGCONT)
            await one.publish(published[40:])
            await reaches(lambda: sum(part.rows for part in manifests_of(store)) >= 80)
            paused.terminate()
            code = await asyncio.to_thread(paused.wait, 15)
        if not is_handled:
            _take_duplicates(monkeypatch)
        return published, [] if code == 0 else [f"it ended with {code}"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES)


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


@fault("E4", "E13")
@pytest.mark.slow
def test_a_slow_store_has_nothing_sent_again_and_many_without_ack_do_not_stop_the_stream(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 3_000)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:  # the server's own limits of such a consumer: 1,000 messages, 30 s
                    patch.setattr(pull, "ACKS", AckPolicy.EXPLICIT)
                async with archiving(server, SlowDisk(store), part_bytes=100_000) as running:
                    await reaches(lambda: running.taken >= 3_000, seconds=4)
        rows = sum(part.rows for part in manifests_of(store))
        return published, [] if rows == 3_000 else [f"{rows} rows were written"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=3_000)


@fault("E5")
def test_deliveries_that_were_lost_on_the_way_are_read_again(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 60)
    wait = Puller._wait

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        lost: list[object] = []

        async def lossy(self: Puller, within: float) -> object:
            found = await wait(self, within)
            if len(found) > 4 and not lost:
                lost.append(found.pop(2))
            return found

        def count_any(self: Puller, number: int) -> None:
            self._next_delivery = number + 1

        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                patch.setattr(Puller, "_wait", lossy)
                if not is_handled:
                    patch.setattr(Puller, "_count_delivery", count_any)
                async with archiving(server, store) as running:
                    await reaches(lambda: running.taken == 60)
        return published, [] if lost else ["nothing was lost"]

    prove(
        lived_through(life, tmp_path),
        gaps=(),
        metric='ssmd_archiver_reader_restarts_total{feed="kalshi-sim"}',
    )


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


@fault("E19")
def test_an_archiver_that_comes_before_its_stream_waits_for_it(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 5)
    healthy = 'ssmd_archiver_healthy{feed="kalshi-sim"}'

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        also = []
        async with bus(server, with_stream=False) as one:
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(archiver, "NotFoundError", KeyError)
                    patch.setattr(archiver, "_BUS_TROUBLE", ())
                stop = asyncio.Event()
                running = archiver.Archiver(config(server, store))
                work = asyncio.create_task(running.work(stop))
                await asyncio.sleep(0.3)
                if samples()[healthy] != 0 or work.done():
                    also.append("it does not wait")
                await one.make_stream()
                await one.publish(published)
                await reaches(lambda: running.taken == 5 or work.done(), seconds=4)
                if samples()[healthy] != 1:
                    also.append("it is not healthy with a stream")
                stop.set()
                await work
        return published, also

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=5)


@fault("E12")
@pytest.mark.slow
def test_a_backlog_is_read_in_parts_of_bounded_size(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 10_000)
    limit = 400_000

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsBuilder, "is_full", property(lambda self: False))
                async with archiving(server, store, part_bytes=limit) as running:
                    await reaches(lambda: running.taken == 10_000)
        largest = max(sum(file.raw_bytes for file in part.files) for part in manifests_of(store))
        return published, [] if largest < limit + 1_000 else [f"a part holds {largest} bytes"]

    prove(lived_through(life, tmp_path), gaps=(), metric=TRADES, at_least=10_000)


@fault("D4")
def test_messages_that_the_bus_threw_away_are_a_stated_hole(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = trades(1, 30)

    async def life(is_handled: bool, store: DirectoryStore) -> Found:
        async with bus(server) as one:
            await one.publish(published[:10])
            await archive_all(server, store)
            await one.publish(published[10:])
            await one.js.purge_stream(STREAM, seq=21)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(EventsBuilder, "skip_to", lambda self, seq: None)
                await archive_all(server, store)
        return published, [] if len(keys_of(store)) == 2 else ["not two parts"]

    metric = 'ssmd_archiver_stream_hole_messages_total{feed="kalshi-sim"}'
    prove(lived_through(life, tmp_path), gaps=("stream_hole",), metric=metric, at_least=10)

"""The archiver's faults (group E): crashes, and several at once."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from archive import archiver, normalized_read
from archive.normalized_commit import EventsCommitter
from archive.normalized_stand import Stand
from archive.store import DirectoryStore
from streaming.events import Event
from tests.archive.bus import (
    DAY_NS,
    NOON,
    archive_all,
    bus,
    config,
    manifests_of,
    start_process,
    trade,
    trades,
)
from tests.faults.archiving import lived_through, reaches
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

"""B10, B11, B12, B15, B17: what the connector's process does to itself."""

import asyncio
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streaming import capture_metrics, connector, lifetime, marks, metrics
from streaming.kalshi import capture as kalshi_capture
from streaming.kalshi import line as kalshi_line
from streaming.kalshi.capture import Capture
from streaming.kalshi.line import Line
from streaming.kalshi.socket import KalshiSocket
from streaming.lifetime import Tasks
from streaming.session_clock import SessionClock
from streaming.unsynced import Unsynced
from tests.faults.b_venue import Session, Venue, with_session
from tests.faults.capture_rig import SHIPPED, Rig
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.recorder import FEED

LAG = f'ssmd_connector_loop_lag_seconds_count{{feed="{FEED}"}}'
STEPS = f'ssmd_connector_clock_steps_total{{feed="{FEED}"}}'
RECEIVED = f'ssmd_connector_messages_received_total{{feed="{FEED}",type="trade"}}'
HOUR_NS = 3600 * 10**9


async def frames(venue: Venue, session: Session, count: int) -> None:
    """So many trades, and all of them recorded."""
    before = session.capture.frames
    for number in range(count):
        await venue.send("trade", before + number)
    await session.until(lambda: session.capture.frames >= before + count)


# -- B10 ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@fault("B10")
def test_a_loop_that_was_held_up_does_not_take_the_venue_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds without a turn, where half a second of silence means a dead connection."""
    opened = KalshiSocket.open

    async def impatient(*facts: Any, **options: Any) -> KalshiSocket:
        return await opened(*facts, silent_for=0.5, **options)

    async def by_its_own_lateness(socket: KalshiSocket) -> None:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            began = time.monotonic()
            await asyncio.sleep(0.5)
        socket.abort()

    monkeypatch.setattr(KalshiSocket, "open", impatient)
    monkeypatch.setattr("streaming.kalshi.socket.PING_EVERY_SECONDS", 0.1)

    async def act(venue: Venue, session: Session) -> None:
        await frames(venue, session, 20)
        time.sleep(2)  # noqa: ASYNC251 - this is the fault
        await frames(venue, session, 20)
        await asyncio.sleep(0.3)

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(KalshiSocket, "_watch", by_its_own_lateness)
        with watched() as risen:
            asyncio.run(with_session(rig, act, options={}))
            rig.ship()
        late = capture_metrics.LOOP_LAG.labels(FEED)._sum.get()
        return rig.outcome(risen, *([] if late >= 1.9 else [f"only {late} s of lag are told"]))

    prove(scenario, gaps=(), metric=LAG)


# -- B11 ---------------------------------------------------------------------------------------------

TASKS = ("sync", "tick", "lister", "publisher", "venue watch", "healer", "conversation", "line 0", "stop", "connection", "watchdog", "pings")  # fmt: skip


def task_of(name: str) -> "asyncio.Task[Any]":
    return next(task for task in asyncio.all_tasks() if task.get_name() == name)


async def unwatched(tasks: Tasks, name: str, job: Callable[[], Any], may_end: Any) -> None:
    await job()


async def only_the_stop(capture: Capture, stop: asyncio.Event, conversation: "asyncio.Task[None]") -> None:
    await stop.wait()


def forgiving(task: "asyncio.Task[Any]") -> Any:
    return (1006, "") if task.cancelled() else task.result()


@fault("B11")
@pytest.mark.parametrize("name", TASKS)
def test_a_task_that_dies_ends_the_process(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ends(rig: Rig) -> bool:
        """Whether the connector ended, by a failure, soon after this one task of it was gone."""
        ended = False

        async def act(venue: Venue, session: Session) -> None:
            nonlocal ended
            await frames(venue, session, 3)
            task_of(name).cancel()
            done, _ = await asyncio.wait({session.running}, timeout=1)
            ended = bool(done) and isinstance(session.running.exception(), ExceptionGroup)

        await with_session(rig, act, options={})
        return ended

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(Tasks, "_run", unwatched)
            monkeypatch.setattr(kalshi_line, "_require_alive", lambda task: None)
            monkeypatch.setattr(kalshi_line, "result_of", forgiving)
            monkeypatch.setattr(kalshi_capture, "result_of", forgiving)
            monkeypatch.setattr(Capture, "_until_over", only_the_stop)
            monkeypatch.setattr(KalshiSocket, "_helper_ended", lambda socket, helper: None)
            monkeypatch.setattr(KalshiSocket, "_require_helpers", lambda socket: None)
        with watched() as risen:
            ended = asyncio.run(ends(rig))
            rig.ship()
        return rig.outcome(risen, *([] if ended else ["it goes on, half alive"]))

    prove(scenario, gaps=("process_crash",), metric=SHIPPED)


async def test_a_job_that_is_cancelled_by_nobody_has_failed() -> None:
    async def job(stop: asyncio.Event) -> None:
        raise asyncio.CancelledError

    with pytest.raises(ExceptionGroup) as failed:
        await lifetime.run_until_stopped(job)

    assert failed.group_contains(RuntimeError)


# -- B12 ---------------------------------------------------------------------------------------------

BURST, BURSTS = 1_000, 12
MOST_GROWTH = 10 * 1024 * 1024


def held() -> int:
    """Bytes that Python's objects take: what the process has from the system says little after other tests."""
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@fault("B12")
def test_without_a_bus_memory_does_not_grow_with_what_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve thousand frames of 2 KB: what is kept of them in memory is what is not yet on the disk."""

    async def act(venue: Venue, session: Session, grown: list[int]) -> None:
        await flood(venue, session, BURST)
        before = held()
        for _ in range(BURSTS):
            await flood(venue, session, BURST)
        grown.append(held() - before)

    def scenario(is_handled: bool) -> Outcome:
        rig, grown = Rig(tmp_path / str(is_handled)), list[int]()
        kept: list[list[bytes]] = []
        if not is_handled:
            done = Unsynced.done

            def keeps(one: Unsynced) -> None:
                kept.append(one._syncing)
                done(one)

            monkeypatch.setattr(Unsynced, "done", keeps)
        tracemalloc.start()
        with watched() as risen:
            asyncio.run(with_session(rig, lambda venue, one: act(venue, one, grown), options={}))
        tracemalloc.stop()
        wrong = [] if grown[0] < MOST_GROWTH else [f"grew by {grown[0] >> 20} MiB"]
        return Outcome(metrics=risen, also=tuple(wrong))

    prove(scenario, gaps=(), metric=RECEIVED, at_least=BURST * BURSTS)


async def flood(venue: Venue, session: Session, count: int) -> None:
    """So many frames at once, written as bytes: as fast as a loopback takes them."""
    before = session.capture.frames
    venue.write_at_once("trade", before, count, padding=2_000)
    await session.until(lambda: session.capture.frames >= before + count)


# -- B15 ---------------------------------------------------------------------------------------------


class Wall:
    """A wall clock that somebody sets."""

    def __init__(self) -> None:
        self.set_by_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.set_by_ns


@pytest.mark.slow
@fault("B15")
@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_clock_that_is_set_is_told_and_no_time_is_before_an_earlier_one(
    step_ns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "TICK_SECONDS", 0.02)

    async def act(venue: Venue, session: Session, wall: Wall) -> None:
        await frames(venue, session, 5)
        steps = capture_metrics.CLOCK_STEPS.labels(FEED)._value
        before = steps.get()
        wall.set_by_ns = step_ns
        await session.until(lambda: steps.get() > before)
        await frames(venue, session, 5)

    def scenario(is_handled: bool) -> Outcome:
        rig, wall = Rig(tmp_path / str(is_handled)), Wall()
        if not is_handled:
            monkeypatch.setattr(SessionClock, "check", lambda clock: None)
            monkeypatch.setattr(Session, "until", once(Session.until))
        with watched() as risen:
            asyncio.run(
                with_session(
                    rig, lambda venue, one: act(venue, one, wall), options={}, clock=SessionClock(wall)
                )
            )
            rig.ship()
        [session] = rig.archive()
        told = [marks.decode(record.payload) for record in session.records if record.kind == 2]
        steps = [mark for mark in told if isinstance(mark, marks.ClockStep)]
        is_told = len(steps) == 1 and abs(steps[0].step_ns - step_ns) < 10**9
        ahead = max(-step_ns, 0)
        is_ahead = is_told and abs(steps[0].ahead_ns - ahead) < 10**9
        return rig.outcome(risen, *([] if is_ahead else [f"told: {steps}"]))

    prove(scenario, gaps=(), metric=STEPS)


def once(until: Callable[..., Any]) -> Callable[..., Any]:
    async def shorter(session: Session, holds: Callable[[], object], *, seconds: float = 1) -> bool:
        return bool(await until(session, holds, seconds=1))

    return shorter


# -- B17 ---------------------------------------------------------------------------------------------

A_BURST = 20_000


@pytest.mark.slow
@fault("B17")
def test_a_burst_is_recorded_before_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faster than it can be parsed: recording does not wait for that, and nothing is dropped."""

    async def act(venue: Venue, session: Session, behind: list[float]) -> None:
        await frames(venue, session, 3)
        counted = received()
        venue.write_at_once("trade", 10, A_BURST, padding=200)
        while session.capture.frames < A_BURST + 3:
            await asyncio.sleep(0)
        behind.append(A_BURST - (received() - counted))
        await session.until(lambda: received() - counted >= A_BURST)

    def scenario(is_handled: bool) -> Outcome:
        rig, behind = Rig(tmp_path / str(is_handled)), list[float]()
        if not is_handled:
            append = Line._on_frame

            def parsed_first(line: Line, *frame: Any) -> None:
                append(line, *frame)
                line._desk.log.flush()
                line._desk.read_on()

            monkeypatch.setattr(Line, "_on_frame", parsed_first)
        with watched() as risen:
            asyncio.run(with_session(rig, lambda venue, one: act(venue, one, behind), options={}))
            rig.ship()
        return rig.outcome(risen, *([] if behind[0] > A_BURST / 20 else ["recording waited for parsing"]))

    prove(scenario, gaps=(), metric=RECEIVED, at_least=A_BURST)


def received() -> float:
    return float(metrics.CONNECTOR_RECEIVED.labels(FEED, "trade")._value.get())

"""B4: the disk, or what the environment may take of it, is full."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streaming import connector
from streaming.kalshi.overflow import Overflow
from tests.faults.b_venue import Session, Venue, with_session
from tests.faults.capture_rig import Rig
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.recorder import FEED
from tests.faults.simdisk import MIB, SmallDisk

KINDS = ("ticker", "orderbook_delta", "trade", "ticker")


def dropped(kind: str) -> str:
    return f'ssmd_connector_capture_dropped_total{{feed="{FEED}",type="{kind}"}}'


async def send_until(venue: Venue, session: Session, numbers: Iterator[int], level: int) -> bool:
    """Frames of all types until the policy is at this level; whether it came there."""
    for _ in range(200):
        for kind in KINDS:
            for _ in range(8):
                await venue.send(kind, next(numbers))
        await asyncio.sleep(0.01)
        if session.capture.overflow.level == level:
            return True
    return False


async def some(venue: Venue, numbers: Iterator[int]) -> None:
    for kind in KINDS:
        await venue.send(kind, next(numbers))
    await asyncio.sleep(0.1)


def is_ready_again(session: Session) -> bool:
    return len(session.capture._of_connection) == 2 and not session.capture.overflow.is_open


@fault("B4")
@pytest.mark.slow
def test_at_its_cap_the_log_gives_up_ticker_then_books_then_trades_in_one_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "TICK_SECONDS", 0.02)
    wrong: list[str] = []

    async def act(rig: Rig, venue: Venue, session: Session) -> None:
        numbers = itertools.count()
        levels = [await send_until(venue, session, numbers, level) for level in (1, 2, 3)]
        await some(venue, numbers)
        await asyncio.to_thread(rig.ship)  # makes room: what is shipped may go, published or not
        is_over = await session.until(lambda: is_ready_again(session))
        await some(venue, numbers)
        await session.until(lambda: True)
        if not (all(levels) and is_over):
            wrong.append(f"levels reached: {levels}, over: {is_over}")

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        wrong.clear()
        if not is_handled:  # dropped, and nobody says so
            monkeypatch.setattr(Overflow, "_open", lambda *facts: None)
        with watched() as risen:
            asyncio.run(
                with_session(rig, lambda venue, session: act(rig, venue, session), options={"max_bytes": MIB})
            )
            rig.ship()
        return rig.outcome(risen, *wrong)

    outcome = prove(scenario, gaps=("buffer_overflow",), metric=dropped("ticker"))

    assert outcome.metrics[dropped("orderbook")] > 0
    assert outcome.metrics[dropped("trade")] > 0
    assert outcome.metrics[dropped("ticker")] > outcome.metrics[dropped("orderbook")]


@fault("B4")
@pytest.mark.slow
def test_a_disk_that_is_full_from_one_write_to_the_next_costs_one_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "TICK_SECONDS", 0.05)
    wrong: list[str] = []

    async def act(disk: SmallDisk, venue: Venue, session: Session) -> None:
        numbers = itertools.count()
        if not await send_until(venue, session, numbers, 3):
            wrong.append("the policy never came to its last level")
        for _ in range(5):
            await some(venue, numbers)
        disk.size = 64 * MIB
        if not await session.until(lambda: is_ready_again(session)):
            wrong.append("it was never over")
        await some(venue, numbers)

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        wrong.clear()
        if not is_handled:
            monkeypatch.setattr(Overflow, "_open", lambda *facts: None)
        disk = SmallDisk(rig.home, size=3 * MIB, is_quota=True)
        options: dict[str, Any] = {"max_bytes": 64 * MIB}
        with watched() as risen:
            asyncio.run(
                with_session(
                    rig, lambda venue, session: act(disk, venue, session), options=options, disk=disk
                )
            )
            rig.ship()
        return rig.outcome(risen, *wrong)

    prove(scenario, gaps=("buffer_overflow",), metric=dropped("trade"))

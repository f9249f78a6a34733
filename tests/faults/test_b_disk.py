"""B2, B3, B5, B13: power cuts, damage, a disk that fails to sync, a slow one."""

import asyncio
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from archive import session_shipper
from streaming import dead_session, marks, mend, records
from streaming.capture_log import CaptureLog
from streaming.disk import EXIT_IO_ERROR
from streaming.log_keeper import LogKeeper
from streaming.log_reader import CaptureLogError, names_of, segments
from streaming.records import Kind
from tests.faults.capture_rig import SHIPPED, Rig, gaps_of
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.recorder import ENVIRONMENT, FEED, SESSION, frame, record, start_mark
from tests.faults.simdisk import DurableSizes, FailingDisk, SlowDisk
from tests.oracle import Archived, Sent, judge_archive
from tests.streaming.dead_log import die, read_all

FAILURES = f'ssmd_connector_capture_sync_failures_total{{feed="{FEED}"}}'
EXPOSED = f'ssmd_connector_capture_exposed_seconds_count{{feed="{FEED}"}}'


def begun(folder: Path, **options: object) -> CaptureLog:
    log = CaptureLog(folder, environment=ENVIRONMENT, session=SESSION, **options)  # type: ignore[arg-type]
    log.mark(start_mark())
    log.mark(marks.ConnectionOpen(1), connection=1)
    return log


def add(log: CaptureLog, rig: Rig, numbers: range) -> None:
    with rig.ledger.open("a") as ledger:
        for number in numbers:
            ledger.write(json.dumps({"conn": 1, "frame": frame(number).decode()}) + "\n")
            log.append(frame(number), kind=Kind.TEXT, connection=1)


# -- B2 ----------------------------------------------------------------------------------------------


def cut_states(rig: Rig) -> list[tuple[str, bytes]]:
    """(segment's name, what a power cut leaves of it): every length between what was synced and what was written."""
    disk = DurableSizes()
    log = begun(rig.folder, disk=disk)
    add(log, rig, range(3))
    log.sync()
    add(log, rig, range(3, 7))
    path = segments(rig.folder)[-1]
    durable, data = disk.sizes[path.stat().st_ino], path.read_bytes()
    assert durable < len(data)
    die(log)
    return [(path.name, data[:length]) for length in range(durable, len(data) + 1)]


@pytest.mark.slow
@fault("B2")
def test_whatever_a_power_cut_leaves_of_the_unsynced_tail_the_rest_is_disclosed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(dead_session, "end_dead_session", lambda folder: False)
            monkeypatch.setattr(session_shipper, "end_dead_session", lambda folder: False)
        states, wrong = cut_states(rig), list[str]()
        for name, data in states:
            (rig.folder / name).write_bytes(data)
            dead_session.end_dead_session(rig.folder)
            left = Archived(SESSION, read_all(rig.folder))
            wrong += judge_archive(rig.sent(), [left]).faults
            if gaps_of([left]) != ("process_crash",) or len(left.records) < 5 + 2:
                wrong.append(f"{len(data)} bytes: {gaps_of([left])}, {len(left.records)} records")
        assert len(states) > 250
        with watched() as risen:
            rig.ship()
        return rig.outcome(risen, *wrong[:3])

    prove(scenario, gaps=("process_crash",), metric=SHIPPED)


# -- B3 ----------------------------------------------------------------------------------------------


def damaged(folder: Path, at: int, whole: bytes, *, segment: int = 0) -> None:
    data = bytearray(whole)
    data[at] ^= 0x10
    segments(folder)[segment].write_bytes(data)


def offsets(data: bytes) -> list[int]:
    """Where each record begins, and where the last one ends."""
    found = [len(records.header(ENVIRONMENT, SESSION))]
    while (one := records.unpack(data, found[-1])) is not None:
        found.append(one[1])
    return found


def test_no_flipped_byte_of_200_records_is_read_as_if_it_were_sound(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    log = begun(rig.folder)
    add(log, rig, range(198))
    die(log)
    whole = segments(rig.folder)[0].read_bytes()
    begins = offsets(whole)
    assert len(begins) == 201

    for at in range(begins[0]):
        damaged(rig.folder, at, whole)
        with pytest.raises(CaptureLogError):
            names_of(rig.folder)
    silent = 0
    for start, end in pairwise(begins):
        for at in range(start, end):
            data = bytearray(whole)
            data[at] ^= 0x10
            silent += records.unpack(bytes(data[start : end + 4096]), 0) is not None
    assert silent == 0


def flipped(rig: Rig, name: str, *, segment: int, at: int) -> list[str]:
    """What is wrong after a flipped byte, in a copy of the rig."""
    one = Rig(rig.home / name)
    shutil.copytree(rig.folder, one.folder)
    whole = segments(one.folder)[segment].read_bytes()
    damaged(one.folder, at, whole, segment=segment)
    one.ship()
    archive = one.archive()
    wrong = judge_archive(rig.sent(), archive).faults
    count = sum(record.kind == Kind.TEXT for session in archive for record in session.records)
    kept = b"".join(path.read_bytes() for path in one.folder.glob("*.damaged"))
    if gaps_of(archive) != ("capture_loss", "process_crash") or count < 197 or len(kept) < len(whole) - at:
        wrong.append(f"{name}: {gaps_of(archive)}, {count} frames of 198, {len(kept)} bytes kept")
    return wrong


@fault("B3")
@pytest.mark.parametrize(("segment_bytes", "numbers"), [(1 << 20, (0,)), (5_000, (1, 2, -2, -1))])
def test_a_flipped_byte_loses_one_record_and_says_so_in_whatever_segment_it_is(
    segment_bytes: int, numbers: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(mend, "salvage", lambda data, place: None)
        log = begun(rig.folder, segment_bytes=segment_bytes)
        add(log, rig, range(198))
        die(log)
        wrong = []
        for number in numbers:
            whole = segments(rig.folder)[number].read_bytes()
            begins = offsets(whole)
            for at in range(begins[2], begins[-2], len(whole) // 3):
                wrong += flipped(rig, f"flip-{number}-{at}", segment=number, at=at)
        damaged(rig.folder, len(whole) // 2, whole, segment=numbers[-1])
        with watched() as risen:
            rig.ship()
        return rig.outcome(risen, *wrong[:3])

    prove(scenario, gaps=("capture_loss", "process_crash"), metric="ssmd_capture_lost_records_total")


# -- B5 ----------------------------------------------------------------------------------------------


@fault("B5")
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_a_failed_sync_may_have_lost_is_written_again_into_another_segment(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:  # a sync of the same file that is simply tried again, and then reports success
            monkeypatch.setattr(CaptureLog, "_segment_failed", lambda log: None)
        ledger = os.open(rig.ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with watched() as risen:
            asyncio.run(record(rig.folder, ledger, 600, disk=FailingDisk(after=after, times=1)))
            rig.ship()
        os.close(ledger)
        return rig.outcome(risen)

    prove(scenario, gaps=(), metric=FAILURES)


@fault("B5")
def test_a_second_failed_sync_ends_the_process_with_74(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(session_shipper, "end_dead_session", lambda folder: False)
        with watched() as risen:
            died = rig.record("1", frames=2000)
            rig.ship()
        is_said = "DiskFailed" in died.stdout and died.returncode == EXIT_IO_ERROR
        return rig.outcome(risen, *([] if is_said else [f"{died.returncode}: {died.stdout[-500:]}"]))

    prove(scenario, gaps=("process_crash",), metric=SHIPPED)


# -- B13 ---------------------------------------------------------------------------------------------


@fault("B13")
def test_a_slow_disk_does_not_hold_the_recording_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def recorded(rig: Rig) -> int:
        """How many frames could be read while one sync went on."""
        disk = SlowDisk(most_seconds=1.0)
        log = begun(rig.folder, disk=disk, schedule=asyncio.get_running_loop().call_soon)
        keeper = LogKeeper(log, rig.capture, feed=FEED, max_bytes=2**30, on_level=lambda level: None)
        syncing = asyncio.create_task(keeper.keep_synced())
        disk.may_end.clear()
        for _ in range(500):
            await asyncio.sleep(0.001)
            if disk.is_syncing.is_set():
                break
        before, number = len(read_all(rig.folder)), 0
        while disk.is_syncing.is_set() and number < 200:
            add(log, rig, range(number, number + 10))
            number += 10
            await asyncio.sleep(0)
        readable = len(read_all(rig.folder)) - before if disk.is_syncing.is_set() else 0
        disk.may_end.set()
        while log.unsynced_seconds:
            await asyncio.sleep(0.01)
        log.mark(marks.SessionEnd("stopped"))
        await keeper.settle()
        syncing.cancel()
        log.close()
        keeper.close()
        return readable

    async def in_the_loop(keeper: LogKeeper) -> None:
        if (job := keeper._log.begin_sync()) is not None:
            job.run()
            keeper._log.end_sync(job)

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(LogKeeper, "_sync", in_the_loop)
        with watched() as risen:
            readable = asyncio.run(recorded(rig))
            rig.ship()
        return rig.outcome(risen, *([] if readable >= 190 else [f"{readable} frames during a sync"]))

    prove(scenario, gaps=(), metric=EXPOSED)


def test_the_ledger_says_what_was_appended(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    add(begun(rig.folder), rig, range(2))

    assert rig.sent() == [Sent(1, frame(0)), Sent(1, frame(1))]

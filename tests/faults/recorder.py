"""A process that records frames as a connector does, without a socket: to be killed, or given a bad disk.

`python -m tests.faults.recorder FOLDER LEDGER FRAMES` writes every frame into the ledger before it appends it.
"""

import asyncio
import json
import os
import resource
import sys
from pathlib import Path

from streaming import lifetime, marks
from streaming.capture_log import CaptureLog
from streaming.disk import Disk
from streaming.log_keeper import LogKeeper
from streaming.records import Kind
from tests.faults.simdisk import FailingDisk

ENVIRONMENT, FEED, SESSION = "demo", "kalshi-sim", "kalshi-sim-1"
SEGMENT_BYTES = 8 * 1024
FRAMES_A_TURN = 5


def start_mark() -> marks.SessionStart:
    """What every session begins with."""
    return marks.SessionStart(
        feed=FEED,
        environment=ENVIRONMENT,
        environment_version=1,
        config_hash="0" * 64,
        feed_version="v2",
        endpoint="ws://127.0.0.1:1",
        code_version="0.1.0",
        subscribe={},
    )


def frame(number: int, kind: str = "trade") -> bytes:
    """One frame, different from all others."""
    return json.dumps({"type": kind, "msg": {"number": number, "market_ticker": "KXBTC-1"}}).encode()


async def record(
    folder: Path,
    ledger: int,
    frames: int,
    *,
    disk: Disk | None = None,
    stop: asyncio.Event | None = None,
) -> CaptureLog:
    """One session of one connection, until `stop`; each turn of the loop brings a few frames."""
    log = CaptureLog(
        folder,
        environment=ENVIRONMENT,
        session=folder.name,
        segment_bytes=SEGMENT_BYTES,
        schedule=asyncio.get_running_loop().call_soon,
        disk=disk,
    )
    keeper = LogKeeper(log, folder.parent, feed=FEED, max_bytes=2**30, on_level=lambda level: None, disk=disk)
    try:
        async with asyncio.TaskGroup() as group:
            syncing = group.create_task(keeper.keep_synced())
            log.mark(start_mark())
            log.mark(marks.ConnectionOpen(1), connection=1)
            await _append(log, ledger, frames, stop or asyncio.Event())
            log.mark(marks.ConnectionClose(1, 1000, ""), connection=1)
            log.mark(marks.SessionEnd("stopped"))
            await keeper.settle()
            syncing.cancel()
        log.close()
    finally:
        keeper.close()
    return log


async def _append(log: CaptureLog, ledger: int, frames: int, stop: asyncio.Event) -> None:
    for number in range(frames):
        if stop.is_set():
            return
        one = frame(number)
        os.write(ledger, json.dumps({"conn": 1, "frame": one.decode()}).encode() + b"\n")
        log.append(one, kind=Kind.TEXT, connection=1)
        if number % FRAMES_A_TURN == 0:
            await asyncio.sleep(0.001)


def _use_up_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def main() -> None:
    """Exit code 0, or that of its trouble.

    A number: the disk fails for good after so many syncs; no-descriptors: they run out; no-signals: none is handled;
    deaf: it does not come to its end when it is told to.
    """
    folder, ledger, frames, *trouble = sys.argv[1:]
    handle = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    disk = FailingDisk(after=int(trouble[0]), times=1000) if trouble and trouble[0].isdigit() else None

    if "no-signals" in trouble:
        lifetime._Signals._NUMBERS = ()  # type: ignore[assignment]

    async def job(stop: asyncio.Event) -> None:
        if "no-descriptors" in trouble:
            asyncio.get_running_loop().call_later(0.1, _use_up_descriptors)
        is_deaf = "deaf" in trouble
        await record(Path(folder), handle, int(frames), disk=disk, stop=None if is_deaf else stop)

    lifetime.run("recorder", job)


if __name__ == "__main__":
    main()

"""The capture log alone: appending frames of the recorded size. The ceiling is writing the same bytes with os.write.

`capture` writes at the end of each turn of the loop, as the connector does; a turn is what one read of a busy socket
brings, 64 KiB. `capture_single` writes each frame by itself, as when frames come one at a time.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streaming.capture_log import CaptureLog
from streaming.records import Kind, Record, pack
from tests.bench.figure import Figure

FRAMES, FRAME = 200_000, b"x" * 265
FRAMES_A_TURN = 64 * 1024 // len(FRAME)


def measure() -> list[Figure]:
    """Frames a second into the log, and out of it through nothing but write(2)."""
    with tempfile.TemporaryDirectory() as folder:
        by_turn = _by_turn(Path(folder) / "turns")
        single = _single(Path(folder) / "single")
        ceiling = round(_bare(Path(folder) / "bare"))
    return [
        Figure("capture", round(by_turn), "frames/s", ceiling),
        Figure("capture_single", round(single), "frames/s", ceiling),
    ]


def _by_turn(folder: Path) -> float:
    due: list[Callable[[], None]] = []
    log = CaptureLog(folder, environment="bench", session="bench", schedule=due.append)
    began = time.perf_counter()
    for _ in range(FRAMES // FRAMES_A_TURN):
        for _ in range(FRAMES_A_TURN):
            log.append(FRAME, kind=Kind.TEXT, connection=1)
        while due:
            due.pop()()
    seconds = time.perf_counter() - began
    log.close()
    return log.last_n / seconds


def _single(folder: Path) -> float:
    log = CaptureLog(folder, environment="bench", session="bench")
    began = time.perf_counter()
    for _ in range(FRAMES):
        log.append(FRAME, kind=Kind.TEXT, connection=1)
    seconds = time.perf_counter() - began
    log.close()
    return FRAMES / seconds


def _bare(path: Path) -> float:
    data = pack(Record(1, 1, 1, Kind.TEXT, FRAME))
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    began = time.perf_counter()
    for _ in range(FRAMES):
        os.write(handle, data)
    seconds = time.perf_counter() - began
    os.close(handle)
    return FRAMES / seconds

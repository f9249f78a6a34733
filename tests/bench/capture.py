"""The capture log alone: appending frames of the recorded size. The ceiling is writing the same bytes with os.write."""

import os
import tempfile
import time
from pathlib import Path

from streaming.capture_log import CaptureLog
from streaming.records import Kind, Record, pack
from tests.bench.figure import Figure

FRAMES, FRAME = 200_000, b"x" * 265


def measure() -> list[Figure]:
    """Frames a second into the log, and out of it through nothing but write(2)."""
    with tempfile.TemporaryDirectory() as folder:
        value = _through_log(Path(folder) / "session")
        ceiling = _bare(Path(folder) / "bare")
    return [Figure("capture", round(value), "frames/s", round(ceiling))]


def _through_log(folder: Path) -> float:
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

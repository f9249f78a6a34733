"""Capture log to raw parts in a directory store. The ceiling reads, hashes, compresses and writes the very same lines.

Its second row is the parts' compression, beside that of the sealed form: one type's lines of an hour at the strongest
level measured in the table that `python -m tests.bench.compression` prints.
"""

import hashlib
import logging
import random
import tempfile
import threading
import time
from pathlib import Path

import structlog
import zstandard

from archive.files import LEVEL, decompressed
from archive.layout import parse_manifest_key
from archive.raw import read_manifest
from archive.shipper import Shipper, ShipperConfig
from archive.store import DirectoryStore
from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.records import Kind
from tests.bench.figure import Figure
from tests.bench.recorded import frames

RECORDS = 300_000
FIRST_NS = 1_765_713_600_000_000_000  # 2025-12-14T12:00:00Z
APART_NS = 2_000_000  # ten minutes in all: one hour, so that size alone cuts the parts
SESSION = "kalshi-20251214T120000Z-3f9a1c"
_PIECE = 1 << 18
SEALED_LEVEL = 9


def measure() -> list[Figure]:
    """Records a second, and bytes of lines for each stored byte."""
    # Its log lines would stand among the figures.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = _record(folder / "capture" / "bench" / SESSION)
        store = DirectoryStore(folder / "raw")
        seconds = _ship(folder / "capture" / "bench", store)
        lines, stored = _lines(store)
        (folder / "lines").write_bytes(lines)
        bare = _bare(folder / "lines", folder / "out")
    sealed = len(lines) / len(zstandard.ZstdCompressor(level=SEALED_LEVEL).compress(lines))
    return [
        Figure("shipper", round(count / seconds), "records/s", round(count / bare)),
        Figure("shipper_compression", round(len(lines) / stored, 2), "x", round(sealed, 2)),
    ]


def _record(folder: Path) -> int:
    log, count, chance = CaptureLog(folder, environment="bench", session=SESSION), 0, random.Random(1)
    for count, frame in enumerate(frames(RECORDS), start=1):
        at_ns = FIRST_NS + count * APART_NS + chance.randrange(APART_NS)  # even steps would compress too well
        log.append(frame, kind=Kind.TEXT, connection=1, received_ns=at_ns)
    end = marks.encode(marks.SessionEnd("stopped"))
    log.append(end, kind=Kind.MARK, connection=0, received_ns=FIRST_NS + (count + 1) * APART_NS)
    log.close()
    return count


def _ship(capture: Path, store: DirectoryStore) -> float:
    halt = threading.Event()
    config = ShipperConfig(environment="bench", feed="kalshi", capture=capture, store=store, version="bench")
    shipper = Shipper(config, halt)
    began = time.perf_counter()
    shipper.step()
    halt.set()
    shipper.work()
    return time.perf_counter() - began


def _lines(store: DirectoryStore) -> tuple[bytes, int]:
    """(all lines, bytes they take in the store)."""
    keys = sorted(key for key in map(parse_manifest_key, store.list("kalshi/")) if key is not None)
    manifests = [read_manifest(store, key) for key in keys]
    pieces = (decompressed(store.get(one.key.data), budget=one.raw_bytes) for one in manifests)
    lines = b"".join(piece for part in pieces for piece in part)
    return lines, sum(one.stored_bytes for one in manifests)


def _bare(source: Path, target: Path) -> float:
    """Seconds to read, hash, compress and write them, and nothing else."""
    began = time.perf_counter()
    digest, frame = hashlib.sha256(), zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    with source.open("rb") as read, target.open("wb") as written:
        while piece := read.read(_PIECE):
            digest.update(piece)
            written.write(frame.compress(piece))
        written.write(frame.flush())
    return time.perf_counter() - began

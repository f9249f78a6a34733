"""Sealing 2,000,000 frames over 5,000 tickers, as `ssmd data seal` does it: steps in processes on all cores.

The ceiling of `seal` is one process that reads the same parts, hashes the lines, and compresses them anew: what a
seal would cost if nothing were understood. `seal_memory` is the most that all its processes held at once, beside 600 MB.
"""

import hashlib
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archive import manifest as manifests
from archive.layout import day_of
from archive.part import PartBuilder
from archive.raw import part_keys, read_lines, read_manifest
from archive.rows import compress
from archive.seal import seal_day
from archive.seal_raw import LEVEL
from archive.store import Store
from registry.environment_file import Store as StoreSpec
from ssmd.archives import ArchiveSpec
from ssmd.seal_runners import in_processes
from streaming.kalshi.wires import FIXED_POINT
from streaming.records import Record
from tests.bench import day
from tests.bench.figure import Figure

FRAMES = int(os.environ.get("SSMD_BENCH_FRAMES", "2000000"))
TICKERS = 5_000
MOST_MB = 600
DAY = day_of(day.NOON)


def measure() -> list[Figure]:
    """Frames a second, seconds, and MB."""
    with tempfile.TemporaryDirectory() as folder:
        spec = ArchiveSpec(
            environment=day.ENVIRONMENT,
            feed=day.FEED,
            raw=StoreSpec(path="raw"),
            normalized=StoreSpec(path="normalized"),
            secrets={},
            home=Path(folder),
        )
        archive = spec.open()
        _ship(archive.raw)
        ceiling = FRAMES / _bare(archive.raw)
        began = time.perf_counter()
        with _watched() as most:
            now_ns = day.NOON + 2 * 86_400 * 10**9
            # Frames of the present wire: by the day's own every one of them would be an issue.
            manifest = seal_day(
                archive, DAY, now_ns=now_ns, mapper=FIXED_POINT.mapper, run=in_processes(spec)
            )
        seconds = time.perf_counter() - began
    return [
        Figure("seal", round(FRAMES / seconds), "frames/s", round(ceiling)),
        Figure("seal_seconds", round(seconds, 1), "s", round(FRAMES / ceiling, 1)),
        Figure("seal_memory", round(most[0]), "MB", MOST_MB),
        Figure("seal_compression", round(manifest.raw_bytes / manifest.stored_bytes, 1), "x", 12),
    ]


def _ship(store: Store) -> None:
    builder = PartBuilder(
        feed=day.FEED, environment=day.ENVIRONMENT, session=day.SESSION, shipper_version="bench"
    )
    waiting: deque[Record] = deque()
    source = day.records(FRAMES, TICKERS)
    while waiting or (waiting := deque(_some(source))):
        if builder.take(waiting):
            _put(store, builder)
    if builder.rows:
        _put(store, builder)


def _some(source: Iterator[Record]) -> Iterator[Record]:
    for _, record in zip(range(10_000), source, strict=False):
        yield record


def _put(store: Store, builder: PartBuilder) -> None:
    part = builder.finish()
    store.put_if_absent(part.manifest.key.data, part.data)
    store.put_if_absent(part.manifest.key.manifest, manifests.encode(part.manifest))


def _bare(store: Store) -> float:
    began = time.perf_counter()
    for key in part_keys(store, day.FEED, DAY):
        lines = b"".join(read_lines(store, read_manifest(store, key)))
        hashlib.sha256(lines).hexdigest()
        compress(lines, level=LEVEL)
    return time.perf_counter() - began


@contextmanager
def _watched() -> Iterator[list[float]]:
    """The most MB that this process and its children held at once."""
    most, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            most[0] = max(most[0], _resident_mb())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield most
    over.set()
    watcher.join()


def _resident_mb() -> float:
    me, pages = os.getpid(), 0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        if int(status.parent.name) == me or int(fields[1]) == me:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

"""What zstd's levels make of raw lines: `python -m tests.bench.compression` prints a table to choose a level by.

A part holds all types in order of n, a sealed file one type of one hour. Receive times are the recorded milliseconds
with random nanoseconds below them; ratio = bytes of lines / bytes stored.
"""

import gzip
import json
import os
import random
import sys
import time
from collections import defaultdict
from pathlib import Path

import zstandard

from archive.files import LineEncoder
from streaming.records import Kind, Record
from tests.bench.recorded import WINDOWS

LEVELS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
PART_NS = 60 * 10**9
Lines = list[tuple[int, str, bytes]]  # receive time in ns, type, line


def lines() -> Lines:
    """All lines of the recorded windows in order of receive time."""
    chance, encode = random.Random(1), LineEncoder("kalshi-20260811T000000Z-3f9a1c").encode
    folder = Path(os.environ["SSMD_RECORDINGS"]) / "gold15m" / "events"
    found: Lines = []
    last = n = 0
    for path in (path for window in WINDOWS for path in sorted((folder / window).glob("*.gz"))):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = json.loads(line)
            last = max(last + 1, row["recv_ms"] * 1_000_000 + chance.randrange(1_000_000))
            n += 1
            frame = json.dumps(row["event"], separators=(",", ":")).encode()
            data, kind, _ = encode(Record(n, last, 1, Kind.TEXT, frame))
            found.append((last, kind, data))
    return found


def cut(found: Lines, by: str) -> list[bytes]:
    """The files: by minute (parts), or by hour and type (sealed)."""
    files: defaultdict[object, list[bytes]] = defaultdict(list)
    for at_ns, kind, data in found:
        files[at_ns // PART_NS if by == "part" else (at_ns // (60 * PART_NS), kind)].append(data)
    return [b"".join(file) for file in files.values()]


def main() -> None:
    """Print the table."""
    found = lines()
    for by in ("part", "sealed"):
        files = cut(found, by)
        size = sum(map(len, files))
        sys.stdout.write(f"{by}: {len(files)} files, {size / 1e6:.0f} MB of lines\n")
        for level in LEVELS:
            began = time.process_time()
            stored = sum(len(zstandard.ZstdCompressor(level=level).compress(file)) for file in files)
            seconds = time.process_time() - began
            sys.stdout.write(f"  level {level}: {size / stored:5.2f}x  {size / 1e6 / seconds:5.0f} MB/s\n")
    for kind in sorted({kind for _, kind, _ in found}):
        data = b"".join(line for _, of, line in found if of == kind)
        sizes = {level: len(zstandard.ZstdCompressor(level=level).compress(data)) for level in (1, 3, 6, 9)}
        told = "  ".join(f"{level}: {len(data) / size:.2f}x" for level, size in sizes.items())
        sys.stdout.write(f"sealed {kind}, {len(data) / 1e6:.0f} MB: {told}\n")


if __name__ == "__main__":
    main()

"""Normalizing from raw: raw line -> frame -> events -> Cap'n Proto, the seal's inner loop and the publisher's work.

The ceiling is the two libraries alone doing the least of the same work: one msgspec decode of every raw line, one
pycapnp message with a market's name, a price and a size for every event. Both are timed as seconds of one core.
"""

import gzip
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from archive.files import LineEncoder, decode_line
from streaming import wire
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind, Record
from streaming.wire_schema import MESSAGES
from tests.bench.figure import Figure
from tests.bench.frames import WINDOWS
from tests.streaming.kalshi.frames import START_NS, delta, snapshot, trade

FRAMES, TRIES = 100_000, 3
SESSION = "kalshi-20260811T001000Z-3f9a1c"


class _Message(msgspec.Struct):
    market_ticker: str
    price_dollars: str = ""
    delta_fp: str = ""
    side: str = ""
    ts_ms: int = 0


class _Frame(msgspec.Struct):
    type: str
    sid: int
    seq: int
    msg: _Message


class _Line(msgspec.Struct):
    n: int
    recv_ns: int
    data: _Frame


def measure() -> list[Figure]:
    """Frames a second of one core."""
    encoder = LineEncoder(SESSION)
    lines = [encoder.encode(record).data for record in _records()]
    value = _best(lambda: _normalize(lines))
    ceiling = _best(lambda: _bare(lines))
    return [Figure("normalize", round(len(lines) / value), "frames/s", round(len(lines) / ceiling))]


def _best(work: Callable[[], None]) -> float:
    """The least seconds of the tries: another process can only have made it slower."""
    found = []
    for _ in range(TRIES):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def _normalize(lines: list[bytes]) -> None:
    normalizer, events = Normalizer(SESSION), 0
    for line in lines:
        for event in normalizer.apply(decode_line(line).record):
            wire.encode(event)
            events += 1
    assert events >= len(lines)
    assert normalizer.unmappable == 0


def _bare(lines: list[bytes]) -> None:
    decode = msgspec.json.Decoder(_Line).decode
    build = MESSAGES.OrderBookUpdate.new_message
    for line in lines:
        frame = decode(line).data
        message = build()
        message.ticker = frame.msg.market_ticker
        level = message.init("bids", 1)[0]
        level.priceE4 = 5400
        level.sizeE2 = 912
        message.to_bytes()


def _records() -> Iterator[Record]:
    found = _recorded() if _folder().is_dir() else _generated()
    for n, payload in enumerate(found, start=1):
        yield Record(n, START_NS + n * 1_000_000, 1, Kind.TEXT, payload)
        if n == FRAMES:
            return


def _folder() -> Path:
    return Path(os.environ.get("SSMD_RECORDINGS", "")) / "gold15m" / "events" / WINDOWS[0]


def _recorded() -> Iterator[bytes]:
    """Windows of one market, one behind the other; numbered anew, since others shared the subscription."""
    numbers: dict[int, int] = {}
    for window in WINDOWS:
        for path in sorted((_folder().parent / window).glob("*.gz")):
            for line in gzip.decompress(path.read_bytes()).splitlines():
                frame: dict[str, Any] = msgspec.json.decode(line)["event"]
                frame["seq"] = numbers[frame["sid"]] = numbers.get(frame["sid"], 0) + 1
                yield msgspec.json.encode(frame) + b"\n"


def _generated() -> Iterator[bytes]:
    """One market with 60 levels: each order is placed and then taken away or traded."""
    chance, seq, trades = random.Random(1), 1, 0
    levels = [[f"0.{cents:02d}00", "100000.00"] for cents in range(10, 40)]
    yield snapshot("KXBENCH-26AUG102015-15", 1, yes=levels, no=levels)
    while True:
        price = f"0.{chance.randrange(10, 40)}00"
        size, side = f"{chance.randrange(1, 5000) / 100:.2f}", chance.choice(("yes", "no"))
        for change in (size, f"-{size}"):
            seq += 1
            yield delta("KXBENCH-26AUG102015-15", seq, price=price, change=change, side=side)
        if chance.random() < 0.05:
            trades += 1
            yield trade("KXBENCH-26AUG102015-15", trades)

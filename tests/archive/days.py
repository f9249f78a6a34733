"""Days of recorded frames as raw archives, to seal, verify and normalize."""

import gzip
import json
from collections import Counter, deque
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from archive import manifest
from archive.part import PartBuilder
from archive.seal import Archive
from archive.store import DirectoryStore, Store
from streaming import marks
from streaming.records import Kind, Record

FEED, ENVIRONMENT = "kalshi-sim", "demo"
DAY = date(2025, 12, 14)
NOON = 1_765_713_600_000_000_000  # 2025-12-14T12:00:00Z
START = marks.SessionStart(
    feed=FEED,
    environment=ENVIRONMENT,
    environment_version=1,
    config_hash="0" * 64,
    feed_version="v2",
    endpoint="ws://127.0.0.1:8010",
    code_version="0.1.0",
    subscribe={"use_yes_price": False},
)


def archive_in(folder: Path) -> Archive:
    """Two empty archives."""
    return Archive(
        feed=FEED,
        environment=ENVIRONMENT,
        raw=DirectoryStore(folder / "raw"),
        normalized=DirectoryStore(folder / "normalized"),
        work=folder / "work",
        code_version="0.1.0",
    )


def recorded(recordings: Path, window: str, most: int = 1_000_000) -> list[bytes]:
    """The frames of one recorded window, numbered anew: other markets' numbers are missing in the recording."""
    paths = sorted((recordings / "gold15m" / "events" / window).glob("*.ndjson.gz"))
    frames: list[dict[str, Any]] = []
    for path in paths:
        with gzip.open(path) as file:
            frames += [json.loads(line)["event"] for line in file]
    last: Counter[int] = Counter()
    for frame in frames[:most]:
        last[frame["sid"]] += 1
        frame["seq"] = last[frame["sid"]]
    return [json.dumps(frame).encode() for frame in frames[:most]]


def records(
    frames: list[bytes | marks.Mark], *, at_ns: int = NOON, step_ns: int = 1_000_000, first_n: int = 1
) -> Iterator[Record]:
    """Frames and marks as a session's records, `step_ns` apart."""
    for n, item in enumerate(frames, start=first_n):
        kind = Kind.TEXT if isinstance(item, bytes) else Kind.MARK
        payload = item if isinstance(item, bytes) else marks.encode(item)
        yield Record(n, at_ns + (n - first_n) * step_ns, 1, kind, payload)


def add_session(store: Store, session: str, found: Iterator[Record], *, part_bytes: int = 1 << 20) -> None:
    """Commit a session's records as parts, as the shipper would."""
    builder = PartBuilder(
        feed=FEED, environment=ENVIRONMENT, session=session, shipper_version="0.1.0", max_bytes=part_bytes
    )
    waiting = deque(found)
    while waiting or builder.rows:
        builder.take(waiting)
        part = builder.finish()
        store.put_if_absent(part.manifest.key.data, part.data)
        store.put_if_absent(part.manifest.key.manifest, manifest.encode(part.manifest))

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archive.layout import parse_manifest_key
from archive.raw import read_manifest, read_part
from archive.shipper import Shipper, ShipperConfig
from archive.store import DirectoryStore
from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.records import Kind, Record

ENVIRONMENT, FEED = "demo", "kalshi-sim"
NOON = 1_765_713_600_000_000_000  # 2025-12-14T12:00:00Z


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "raw")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    folder = tmp_path / "capture" / ENVIRONMENT
    folder.mkdir(parents=True)
    return folder


class Clock:
    """Receive times one millisecond apart."""

    def __init__(self, now_ns: int = NOON) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


SessionMaker = Callable[..., CaptureLog]


@pytest.fixture
def session(capture: Path) -> Iterator[SessionMaker]:
    """Makes the log of a running connector, begun with its start mark."""
    logs: list[CaptureLog] = []

    def make(name: str = "kalshi-sim-1", *, at_ns: int = NOON, segment_bytes: int = 1 << 20) -> CaptureLog:
        log = CaptureLog(
            capture / name,
            environment=ENVIRONMENT,
            session=name,
            clock=Clock(at_ns),
            segment_bytes=segment_bytes,
        )
        logs.append(log)
        log.mark(start_mark())
        return log

    yield make
    for log in logs:
        try:
            log.close()
        except OSError:
            continue  # the test let it die


def start_mark() -> marks.SessionStart:
    return marks.SessionStart(
        feed=FEED,
        environment=ENVIRONMENT,
        environment_version=1,
        config_hash="0" * 64,
        feed_version="v2",
        endpoint="ws://127.0.0.1:8010",
        code_version="0.1.0",
        subscribe={"use_yes_price": False},
    )


def trade(number: int, ticker: str = "KXBTC-1") -> bytes:
    return b'{"type":"trade","sid":2,"seq":%d,"msg":{"market_ticker":"%s","count":1}}\n' % (
        number,
        ticker.encode(),
    )


def add_trades(log: CaptureLog, count: int) -> None:
    for number in range(count):
        log.append(trade(number), kind=Kind.TEXT, connection=1)


def archived(store: DirectoryStore, session: str = "kalshi-sim-1") -> list[Record]:
    """What the archive holds of a session, on all days, in the order of its manifests."""
    keys = [key for key in map(parse_manifest_key, store.list(f"{FEED}/")) if key and key.session == session]
    return [raw.record for key in sorted(keys) for raw in read_part(store, read_manifest(store, key))]


def read_all(log: CaptureLog) -> list[Record]:
    """Everything that a log holds."""
    reader, found = CaptureLogReader(log.folder), []
    while fresh := reader.read():
        found += fresh
    return found


def make_config(capture: Path, store: DirectoryStore, **options: Any) -> ShipperConfig:
    return ShipperConfig(
        environment=ENVIRONMENT, feed=FEED, capture=capture, store=store, version="0.1.0", **options
    )


@pytest.fixture
def ship(capture: Path, store: DirectoryStore) -> Callable[..., None]:
    """Runs a shipper until everything readable is committed, as at SIGTERM."""

    def run(**options: Any) -> None:
        halt = threading.Event()
        shipper = Shipper(make_config(capture, store, **options), halt)
        shipper.step()
        halt.set()
        shipper.work()
        for _, lock in shipper._sessions.values():
            lock.release()

    return run


def die(log: CaptureLog) -> None:
    """What kill -9 leaves: no end mark, and a free lock."""
    log._lock.release()
    os.close(log._file)

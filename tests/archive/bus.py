"""A bus, a store and archivers for tests: messages with chosen times and identities, archivers as tasks or processes."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import nats
from nats.aio.client import Client

from archive.archiver import Archiver, ArchiverConfig
from archive.layout import EventsKey, parse_events_key
from archive.normalized_manifest import EventsManifest
from archive.normalized_message import SCHEMA
from archive.normalized_read import read_events, read_manifest, stored_rows
from archive.rows import lines
from archive.store import DirectoryStore, Store
from streaming import metrics, subjects, wire
from streaming.events import Event, GapNotice, Origin, TakerSide, Trade
from streaming.transport import StreamSpec, ensure_stream

FEED, ENVIRONMENT, STREAM = "kalshi-sim", "demo", "ssmd-kalshi-sim"
SESSION = "kalshi-sim-20251214T001000Z-3f9a1c"
NOON = 1_765_713_600_000_000_000  # 2025-12-14T12:00:00Z
TODAY = date(2025, 12, 14)
DAY_NS = 86_400 * 10**9


def trade(
    n: int, *, received_ns: int | None = None, session: str = SESSION, ticker: str = "KXBTC-1.5"
) -> Trade:
    """The trade of frame n, one millisecond after the one before."""
    at = NOON + n * 1_000_000 if received_ns is None else received_ns
    origin = Origin(session=session, n=n, k=0, received_ns=at, connection=1, sid=2, seq=n)
    return Trade(
        ticker=ticker, trade_id=f"t{n}", price_e4=4500, size_e2=1350, side=TakerSide.BUY, venue_ns=at, origin=origin
    )  # fmt: skip


def trades(first: int, last: int, **options: Any) -> list[Trade]:
    """The trades of frames first to last."""
    return [trade(n, **options) for n in range(first, last + 1)]


class Bus:
    """A stream as a connector makes it, and what a connector would publish."""

    def __init__(self, client: Client, url: str) -> None:
        self.client, self.url = client, url
        self.js = client.jetstream(timeout=5)

    async def make_stream(self) -> None:
        """As the connector does."""
        await ensure_stream(self.client, StreamSpec(STREAM, FEED, max_bytes=512 * 1024**2))

    async def publish(self, events: Sequence[Event]) -> None:
        """Events with their identities, all acknowledged."""
        pending = []
        for event in events:
            identity = _identity(event)
            headers = {"Nats-Msg-Id": identity}
            payload = wire.encode(event)
            pending.append(self.js.publish(subjects.address(FEED, event), payload, headers=headers))
            if len(pending) == 500:
                await asyncio.gather(*pending)
                pending = []
        await asyncio.gather(*pending)

    async def last_seq(self) -> int:
        """How far the stream is."""
        return int((await self.js.stream_info(STREAM)).state.last_seq)


def _identity(event: Event) -> str:
    if isinstance(event, GapNotice):
        return f"{event.session}.{event.number}.{1 if event.to_ns else 0}"
    return event.origin.identity


@asynccontextmanager
async def bus(url: str, *, with_stream: bool = True, is_kept: bool = False) -> AsyncIterator[Bus]:
    """A connection to the server; the stream of an earlier test is gone, unless it `is_kept`."""
    client = await nats.connect(url, connect_timeout=2)
    found = Bus(client, url)
    for info in [] if is_kept else await found.js.streams_info():
        await found.js.delete_stream(str(info.config.name))
    if with_stream:
        await found.make_stream()
    try:
        yield found
    finally:
        await client.close()


def config(url: str, store: Store, **options: Any) -> ArchiverConfig:
    """An archiver of the tests' stream, with its metrics at hand."""
    metrics.init_archiver(FEED)
    values = {
        "part_seconds": 60.0,
        "environment": ENVIRONMENT,
        "feed": FEED,
        "stream": STREAM,
        "version": "0.1.0",
    }
    return ArchiverConfig(nats_url=url, store=store, **{**values, **options})


async def archive_all(url: str, store: Store, **options: Any) -> None:
    """Run an archiver until it has read what is on the bus, and stop it as SIGTERM does."""
    async with archiving(url, store, **options):
        pass


@asynccontextmanager
async def archiving(url: str, store: Store, **options: Any) -> AsyncIterator[Archiver]:
    """An archiver that runs; at the end it is asked to stop and waited for."""
    stop = asyncio.Event()
    archiver = Archiver(config(url, store, **options))
    work = asyncio.create_task(archiver.work(stop))
    try:
        while not archiver.is_reading and not work.done():
            await asyncio.sleep(0.01)
        yield archiver
    finally:
        stop.set()
        await work


def keys_of(store: Store) -> list[EventsKey]:
    """All committed parts."""
    return sorted(key for name in store.list(f"{FEED}/") if (key := parse_events_key(name)) is not None)


def manifests_of(store: Store) -> list[EventsManifest]:
    """Their manifests."""
    return [read_manifest(store, key) for key in keys_of(store)]


def quarantined(store: Store) -> list[bytes]:
    """The JSON lines of messages that could not be read."""
    held = [(part, part.quarantine) for part in manifests_of(store) if part.quarantine]
    return [line for part, file in held for line in lines(store, stored_rows(part, file))]


def events_of(store: Store, *days: date) -> list[Event]:
    """The events of provisional parts of these days, each once: what a day rebuilt from raw must equal."""
    return [event for on in days or (TODAY,) for event in read_events(store, FEED, on)]


def numbers(events: Sequence[Event]) -> list[int]:
    """The frame number of each event."""
    return [event.number if isinstance(event, GapNotice) else event.origin.n for event in events]


SCRIPT = """
import sys
from pathlib import Path
from archive.archiver import ArchiverConfig, run
from archive.store import DirectoryStore
url, root, part_seconds, part_bytes = sys.argv[1:]
run(ArchiverConfig(environment="demo", feed="kalshi-sim", stream="ssmd-kalshi-sim", nats_url=url,
    store=DirectoryStore(Path(root)), version="0.1.0", part_seconds=float(part_seconds), part_bytes=int(part_bytes)))
"""


def start_process(
    url: str,
    store: DirectoryStore,
    *,
    failpoints: str = "",
    part_seconds: float = 0.2,
    part_bytes: int = 1 << 25,
) -> "subprocess.Popen[bytes]":
    """An archiver as a process of its own."""
    testing = {"SSMD_TESTING": "1", "SSMD_FAILPOINTS": failpoints} if failpoints else {}
    words = [sys.executable, "-c", SCRIPT, url, str(store.root), str(part_seconds), str(part_bytes)]
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, **testing, "PYTHONPATH": str(root)}
    log = (store.root.parent / "archiver.log").open("ab")
    return subprocess.Popen(words, env=environment, stdout=log, stderr=log)


__all__ = ["SCHEMA", "Bus", "DirectoryStore"]

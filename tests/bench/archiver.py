"""The archiver's path: JetStream -> sorted, hashed and compressed -> parts and manifests in a directory store.

The ceiling is a bare pull by hand in the same run: the same requests to the same stream, each message counted and dropped.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig

from archive.archiver import Archiver, ArchiverConfig
from archive.store import DirectoryStore
from streaming import subjects, wire
from streaming.events import BookDelta, BookSide, Origin, TakerSide, Trade
from streaming.outbox import Outbox
from streaming.transport import StreamSpec, ensure_stream
from tests.bench.figure import Figure
from tests.running import NatsServer

MESSAGES, ROUNDS, BATCH = 100_000, 3, 4_000
FEED, STREAM = "kalshi-sim", "ssmd-kalshi-sim"
_SESSION = "kalshi-sim-20251214T001000Z-3f9a1c"


def measure() -> list[Figure]:
    """Events a second from the bus into committed parts."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder))
        server.start()
        try:
            return [uvloop.run(_measure(server.url, Path(folder)))]
        finally:
            server.stop()


async def _measure(url: str, folder: Path) -> Figure:
    await _fill(url)
    values, ceilings = [], []
    for number in range(ROUNDS):  # in turn: the machine's mood is the same for both
        ceilings.append(await _bare_pull(url))
        values.append(await _archive(url, folder / f"round-{number}"))
    return Figure("archiver", round(median(values)), "events/s", round(median(ceilings)))


async def _fill(url: str) -> None:
    """Order book changes with some trades among them, as recorded days have them."""
    client = await nats.connect(url)
    await ensure_stream(client, StreamSpec(STREAM, FEED))
    outbox = Outbox(client)
    await outbox.open()
    for n in range(1, MESSAGES + 1):
        event = _event(n)
        address, identity = subjects.address(FEED, event), event.origin.identity
        await outbox.publish(address, wire.encode(event), identity=identity, n=n)
    while outbox.waiting:
        await asyncio.sleep(0.01)
        await outbox.repeat_overdue()
    await client.close()


def _event(n: int) -> Trade | BookDelta:
    at = time.time_ns()
    origin = Origin(session=_SESSION, n=n, k=0, received_ns=at, connection=1, sid=2, seq=n)
    ticker = f"KXBTC15M-26JUL191145-{n % 40}"
    if n % 10 == 0:
        return Trade(
            ticker=ticker, trade_id=f"a{n:035}", price_e4=4500, size_e2=100, side=TakerSide.BUY, venue_ns=at, origin=origin
        )  # fmt: skip
    return BookDelta(
        ticker=ticker, side=BookSide.BID, price_e4=n * 7 % 9900, delta_e2=100, size_e2=n % 5000, venue_ns=at,
        origin=origin, market_id=f"b{n % 40:035}",
    )  # fmt: skip


async def _archive(url: str, root: Path) -> float:
    store = DirectoryStore(root)
    archiver = Archiver(
        ArchiverConfig(
            environment="demo", feed=FEED, stream=STREAM, nats_url=url, store=store, version="bench"
        )
    )
    stop = asyncio.Event()
    began = time.perf_counter()
    work = asyncio.create_task(archiver.work(stop))
    while archiver.taken < MESSAGES:
        await asyncio.sleep(0.01)
    stop.set()
    await work
    seconds = time.perf_counter() - began
    manifests = [json.loads(path.read_bytes()) for path in root.rglob("_parts/**/*.json")]
    assert sum(manifest["rows"] for manifest in manifests) == MESSAGES
    return MESSAGES / seconds


async def _bare_pull(url: str) -> float:
    client: Client = await nats.connect(url)
    inbox, count, done = client.new_inbox(), 0, asyncio.Event()

    async def receive(message: Msg) -> None:
        nonlocal count
        count += 1
        if count == MESSAGES:
            done.set()

    await client.subscribe(inbox, cb=receive, pending_msgs_limit=-1, pending_bytes_limit=-1)
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, mem_storage=True)
    consumer = await client.jetstream().add_consumer(STREAM, config=config)
    request = json.dumps({"batch": BATCH, "expires": 30 * 10**9}).encode()
    began = time.perf_counter()
    for _ in range(0, MESSAGES, BATCH):
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer.name}", request, reply=inbox)
    await done.wait()
    seconds = time.perf_counter() - began
    await client.close()
    return MESSAGES / seconds

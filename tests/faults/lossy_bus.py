"""What the tests of a bus that forgets share: a session that goes on, its bus, and the verdict on both."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext

from archive.shipper import Shipper, ShipperConfig
from archive.store import DirectoryStore
from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.events import BookDelta, BookSnapshot, Event, GapNotice, Trade
from streaming.log_reader import CaptureLogReader, Cursor
from streaming.publisher import Publisher
from streaming.records import Kind
from streaming.transport import StreamSpec
from tests.chaos.tcp_proxy import TcpProxy
from tests.faults.capture_rig import gaps_of
from tests.faults.proof import Outcome
from tests.oracle import Archived, read_archive
from tests.oracle_of_bus import books_of_events, books_of_frames, judge_order, judge_trades
from tests.running import NatsServer
from tests.streaming.bus import published
from tests.streaming.kalshi.frames import delta, snapshot, trade

SESSION = "lossy-20260101T000000Z-abc123"
STEP = 40  # frames, half of them trades


class HardNats(NatsServer):
    """A nats-server with settings of its own, for which life is made hard."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        super().__init__(folder)
        self._settings = folder / "nats.conf"
        self.set(settings)

    def set(self, settings: str) -> None:
        """What it is told from the next start, or `signal(SIGHUP)`, on."""
        self._settings.write_text(settings)

    def options(self) -> list[str]:
        return ["-c", str(self._settings), *super().options()]

    def signal(self, number: int) -> None:
        """SIGSTOP, SIGCONT, SIGHUP."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As a power switch would, but for the disk's cache."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)
        self._process = None


class Life:
    """One session with its own bus; each step touches prices that no other step touches."""

    def __init__(
        self,
        home: Path,
        *,
        settings: str = "",
        is_proxied: bool = False,
        with_raw: bool = False,
        user: str = "",
        make_server: Callable[[Path], "HardNats"] | None = None,
        replicas: int = 1,
        max_bytes: int = 64 * 1024**2,
    ) -> None:
        home.mkdir()
        self.home = home
        self.patience = 20.0  # seconds until everything must be on the bus
        self.is_proxied, self.user = is_proxied, user
        self.feed = f"lossy-{uuid4().hex[:8]}"
        self.spec = StreamSpec(f"ssmd-{self.feed}", self.feed, replicas, max_bytes)
        self.server = make_server(home) if make_server else HardNats(home / "nats", settings)
        self.url = self.server.url  # that the publisher is given
        self.proxy = TcpProxy(self.server.port)
        self.ended = asyncio.Event()
        self.begin(SESSION, with_raw=with_raw)

    def begin(self, session: str, *, notices: Sequence[GapNotice] = (), with_raw: bool = False) -> None:
        """A session: its log and its publisher, which has to be run."""
        self.log = CaptureLog(self.home / "capture" / session, environment="capture", session=session)
        self.log.mark(
            marks.SessionStart(self.feed, "capture", 1, "0" * 64, "v2", "ws://127.0.0.1:1", "0.1.0", {})
        )
        self.publisher = self.publisher_of(session, notices=notices, with_raw=with_raw)
        self._seq = self._steps = 0

    def publisher_of(
        self, session: str, *, notices: Sequence[GapNotice] = (), with_raw: bool = False
    ) -> Publisher:
        """One that takes up a session's log where its cursor stands."""
        folder = self.home / "capture" / session
        cursor = Cursor(folder / "published.cursor")
        return Publisher(
            CaptureLogReader(folder, from_n=cursor.load() + 1),
            cursor,
            session=session,
            stream=self.spec,
            with_raw=with_raw,
            notices=list(notices),
            mark=self.log.mark,
        )

    async def step(self, *, is_published: bool = True) -> None:
        """Record some frames; wait until they are on the bus."""
        self._steps += 1
        for number in range(STEP // 2):
            self._seq += 1
            cents = self._steps * 10 + number % 10
            book = delta("A", self._seq, price=f"0.{cents:02d}00")
            if self._seq == 1:
                book = snapshot("A", 1, yes=[["0.0100", "5.00"]])
            for frame in (book, trade("A", self._seq)):
                self.log.append(frame, kind=Kind.TEXT, connection=1)
        self.publisher.fresh.set()
        if is_published:
            await self.settle()

    async def settle(self) -> None:
        """Until everything recorded so far is on the bus."""
        cursor = Cursor(self.log.folder / "published.cursor")
        async with asyncio.timeout(self.patience):
            while cursor.load() < self.log.last_n:
                await asyncio.sleep(0.02)

    async def stop_bus(self) -> None:
        await asyncio.to_thread(self.server.stop)

    async def start_bus(self) -> None:
        await asyncio.to_thread(self.server.start)

    async def copy_store(self) -> None:
        """Keep a copy of the bus's store as it stands."""
        await self.stop_bus()
        shutil.copytree(self.home / "nats" / "jetstream", self.home / "older")
        await self.start_bus()

    async def restore_store(self) -> None:
        """Put the copy in its place; the bus stays stopped."""
        await self.stop_bus()
        shutil.rmtree(self.home / "nats" / "jetstream")
        shutil.copytree(self.home / "older", self.home / "nats" / "jetstream")

    def record(self, *frames: bytes) -> None:
        """Frames of the test's own."""
        for frame in frames:
            self.log.append(frame, kind=Kind.TEXT, connection=1)
        self.publisher.fresh.set()

    @property
    def client(self) -> Client:
        """The publisher's."""
        assert self.publisher._client is not None
        return self.publisher._client

    @asynccontextmanager
    async def operator(self) -> AsyncIterator[JetStreamContext]:
        """Somebody with a connection of his own, past the proxy."""
        client = await nats.connect(self.server.url, connect_timeout=2)
        try:
            yield client.jetstream(timeout=2)
        finally:
            await client.close()

    async def events(self) -> list[Event]:
        """What the stream holds."""
        return await published(self.server.url, self.spec.name)

    async def until_marked(self, *, seconds: float) -> None:
        """Give the loss time to be found out."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reader, found = CaptureLogReader(self.log.folder), b""
            while records := reader.read():
                found += b"".join(record.payload for record in records if record.kind == Kind.MARK)
            if b'"stream_hole"' in found:
                break
            await asyncio.sleep(0.05)

    def archive(self) -> list[Archived]:
        """Everything recorded, from the raw archive."""
        store, halt = DirectoryStore(self.home / "raw"), threading.Event()
        shipper = Shipper(
            ShipperConfig(
                environment="capture",
                feed=self.feed,
                capture=self.home / "capture",
                store=store,
                version="0.1.0",
            ),
            halt,
        )
        shipper.step()
        halt.set()
        shipper.work()
        return read_archive(store, self.feed)

    async def outcome(self, risen: Mapping[str, float], *found: str) -> Outcome:
        """The verdict: trades exact or within what the notices own up to, books right, gaps marked."""
        archive = await asyncio.to_thread(self.archive)
        events = await self.events()
        notices = [event for event in events if isinstance(event, GapNotice)]
        faults = judge_trades(archive, [event for event in events if isinstance(event, Trade)], notices)
        faults += judge_order(events)
        frames = [record.payload for one in archive for record in one.records if record.kind == Kind.TEXT]
        books = books_of_events(event for event in events if isinstance(event, BookSnapshot | BookDelta))
        also = (
            () if books == books_of_frames(frames) else ("the books of the bus are not those of the frames",)
        )
        return Outcome(gaps_of(archive), dict(risen), tuple(faults), (*found, *also))


@asynccontextmanager
async def life(home: Path, **options: Any) -> AsyncIterator[Life]:
    """A running bus and session; at the end of the block both have ended, the bus last."""
    one = Life(home, **options)
    one.server.start()
    try:
        async with one.proxy, _published(one):
            yield one
    finally:
        await asyncio.to_thread(one.server.stop)


@asynccontextmanager
async def _published(one: Life) -> AsyncIterator[None]:
    if one.is_proxied:
        one.url = one.url.replace(str(one.server.port), str(one.proxy.port))
    if one.user:
        one.url = one.url.replace("//", f"//{one.user}@")
    running = asyncio.create_task(one.publisher.run(one.url, one.ended))
    try:
        yield
    finally:
        one.ended.set()
        await running


async def finish(one: Life) -> None:
    """The session ends in good order."""
    one.log.mark(marks.SessionEnd("stopped"))
    one.ended.set()
    await one.settle()
    one.log.close()

import asyncio
import json
from pathlib import Path

import nats
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from registry.refusal import Refused
from streaming import marks, transport
from streaming.capture_log import CaptureLog, CaptureLogReader, Cursor
from streaming.events import GapNotice, Trade
from streaming.publisher import Publisher
from streaming.records import Kind
from streaming.transport import StreamSpec
from tests.faults.lossy_bus import HardNats
from tests.running import NatsServer, free_port
from tests.streaming.bus import published
from tests.streaming.kalshi.frames import snapshot, trade


class Session:
    """A log that is complete, and its publisher."""

    def __init__(
        self,
        folder: Path,
        *,
        count: int = 300,
        notices: tuple[GapNotice, ...] = (),
        more: tuple[bytes, ...] = (),
        told: tuple[marks.Mark, ...] = (),
    ) -> None:
        self.feed = f"feed-{abs(hash(str(folder))) % 10**9}"
        self.stream = StreamSpec(f"ssmd-{self.feed}", self.feed, max_bytes=64 * 1024**2)
        log = CaptureLog(folder, environment="demo", session="s")
        for seq in range(1, count + 1):
            log.append(trade("A", seq), kind=Kind.TEXT, connection=1)
        for payload in more:
            log.append(payload, kind=Kind.TEXT, connection=1)
        log.append(b"{", kind=Kind.TEXT, connection=1)
        for mark in told:
            log.mark(mark)
        log.mark(marks.SessionEnd("stopped"))
        log.close()
        self.last_n = log.last_n
        self.cursor = Cursor(folder / "published.cursor")
        self.announced: list[GapNotice] = []
        self.ended = asyncio.Event()
        self.ended.set()
        self.publisher = Publisher(
            CaptureLogReader(folder),
            self.cursor,
            session="s",
            stream=self.stream,
            with_raw=True,
            notices=list(notices),
            on_announced=self.announced.append,
        )


NOTICE = GapNotice("process_crash", "earlier", 9, 0, 1, None, unpublished=(5, 8))


async def run_from_start(session: Session, url: str) -> None:
    """Publish as a session does that ends once the bus was reached."""
    session.ended.clear()
    running = asyncio.create_task(session.publisher.run(url, session.ended))
    await asyncio.sleep(0.3)
    session.ended.set()
    await running


async def test_everything_of_the_log_is_published_and_the_cursor_says_so(
    nats_server: str, tmp_path: Path
) -> None:
    session = Session(tmp_path / "s")

    await run_from_start(session, nats_server)

    trades = [
        event for event in await published(nats_server, session.stream.name) if isinstance(event, Trade)
    ]
    assert [one.origin.n for one in trades] == list(range(1, 301))
    assert session.cursor.load() == session.last_n


async def test_what_earlier_sessions_lost_is_told_first_and_then_ticked_off(
    nats_server: str, tmp_path: Path
) -> None:
    session = Session(tmp_path / "s", notices=(NOTICE,))

    await run_from_start(session, nats_server)

    assert (await published(nats_server, session.stream.name))[0] == NOTICE
    assert session.announced == [NOTICE]


async def test_without_a_bus_nothing_is_ticked_off(tmp_path: Path) -> None:
    session = Session(tmp_path / "s", notices=(NOTICE,))
    session.ended.clear()
    running = asyncio.create_task(session.publisher.run(f"nats://127.0.0.1:{free_port()}", session.ended))
    await asyncio.sleep(0.1)
    session.ended.set()
    async with asyncio.timeout(4.5):
        await running

    assert (session.announced, session.cursor.load()) == ([], 0)


async def test_a_stream_that_drifted_ends_a_session_at_its_start(nats_server: str, tmp_path: Path) -> None:
    session = Session(tmp_path / "s")
    client = await transport.connect(nats_server, name="test")
    other = StreamSpec(session.stream.name, session.feed, max_bytes=1024**2)
    await transport.ensure_stream(client, other)
    await client.close()
    session.ended.clear()

    with pytest.raises(Refused, match="max_bytes"):
        await session.publisher.run(nats_server, session.ended)


def errors(feed: str, error_type: str) -> float:
    labels = {"feed": feed, "error_type": error_type}
    return REGISTRY.get_sample_value("ssmd_connector_errors_total", labels) or 0.0


async def test_frames_that_are_not_understood_are_counted_and_said_once_a_minute(
    nats_server: str, tmp_path: Path
) -> None:
    renamed = (trade("A", seq).replace(b"_price_dollars", b"_quote") for seq in range(2, 102))
    session = Session(tmp_path / "s", count=1, more=tuple(renamed))

    with capture_logs() as said:
        await run_from_start(session, nats_server)

    assert errors(session.feed, "parse") == 101  # with the one that is no JSON
    trades = [line for line in said if line.get("about") == "trade"]
    assert len(trades) == 1
    assert "frame not understood" in trades[0]["event"]


async def test_an_event_that_is_too_large_is_counted_and_its_market_is_told(tmp_path: Path) -> None:
    server = HardNats(tmp_path, "max_payload: 8192\n")
    server.start()
    levels = [[f"0.{price:04d}", "1.00"] for price in range(1, 2_000)]
    session = Session(tmp_path / "s", count=1, more=(snapshot("B", 1, yes=levels),))

    await run_from_start(session, server.url)

    events = await published(server.url, session.stream.name)
    server.stop()
    notices = [event for event in events if isinstance(event, GapNotice)]
    assert [(one.cause, one.tickers, one.to_ns is None) for one in notices] == [
        ("oversize_event", ("B",), True), ("oversize_event", ("B",), False),
    ]  # fmt: skip
    assert errors(session.feed, "publish") >= 1
    assert session.cursor.load() == session.last_n


@pytest.mark.slow
async def test_a_bus_that_comes_late_gets_everything(own_nats_server: NatsServer, tmp_path: Path) -> None:
    session = Session(tmp_path / "log")
    own_nats_server.stop()
    session.ended.clear()
    running = asyncio.create_task(session.publisher.run(own_nats_server.url, session.ended))
    await asyncio.sleep(1)
    await asyncio.to_thread(own_nats_server.start)
    async with asyncio.timeout(20):
        while session.cursor.load() < session.last_n:
            await asyncio.sleep(0.05)
    session.ended.set()
    await running

    assert len(await published(own_nats_server.url, session.stream.name)) == 300


async def test_a_changed_wire_is_told_to_whoever_listens(nats_server: str, tmp_path: Path) -> None:
    session = Session(tmp_path / "s", count=1, told=(marks.WireDrift(n=1, problem="trade.venue_fee"),))
    listener = await nats.connect(nats_server)
    heard = await listener.subscribe(f"{session.feed}.quality.wire_drift")

    await run_from_start(session, nats_server)

    told = json.loads((await heard.next_msg(5)).data)
    assert (told["session"], told["kind"], told["sample"]) == (
        "s",
        "wire_drift",
        "trade.venue_fee, first in record 1",
    )
    await listener.close()

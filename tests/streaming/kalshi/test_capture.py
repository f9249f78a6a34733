import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.server import ServerConnection

from registry.refusal import ExitCode, Refused
from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.kalshi.back_off import BackOff
from streaming.kalshi.capture import Capture
from streaming.kalshi.markets import MarketBoard, Patterns
from streaming.kalshi.plan import Plan
from streaming.kalshi.rest import Credentials
from streaming.records import Kind, Record
from tests.streaming.kalshi.frames import delta, snapshot, trade
from tests.streaming.kalshi.venue import refusal, until, venue


@dataclass(frozen=True)
class Config:
    endpoint: str
    feed: str = "kalshi-sim"
    credentials: Credentials | None = None
    subscribe: dict[str, bool] = field(default_factory=dict)


class Recording:
    """A capture that runs, and what it wrote."""

    plan = Plan()

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.folder = folder
        self.log = CaptureLog(folder, environment="demo", session="s")
        self.board = MarketBoard(Patterns(is_everything=True))
        plan = dataclasses.replace(self.plan)
        self.capture = Capture(Config(endpoint), self.log, self.board, plan=plan)
        self.log.on_append = self.capture.fresh.set
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(self.capture.run(self.stop))

    @property
    def records(self) -> list[Record]:
        reader, found = CaptureLogReader(self.folder), list[Record]()
        while more := reader.read():
            found += more
        return found

    @property
    def frames(self) -> list[bytes]:
        return [record.payload for record in self.records if record.kind != Kind.MARK]

    @property
    def marks(self) -> list[marks.Mark]:
        return [marks.decode(record.payload) for record in self.records if record.kind == Kind.MARK]

    async def make_ready(self, kind: type) -> None:
        """The markets are listed, and time passes as the connector lets it."""
        while not self.has(kind):
            await self.turn()

    async def turn(self) -> None:
        self.capture.want_books()
        self.capture.on_time()
        await asyncio.sleep(0.05)

    def gaps(self) -> list[tuple[str, int]]:
        return [(mark.cause, mark.after_n) for mark in self.marks if isinstance(mark, marks.GapOpen)]

    def has(self, kind: type) -> bool:
        return any(isinstance(mark, kind) for mark in self.marks)


@asynccontextmanager
async def recording(
    folder: Path, endpoint: str, kind: type[Recording] = Recording
) -> AsyncIterator[Recording]:
    one = kind(folder / "s", endpoint)
    try:
        yield one
    finally:
        one.stop.set()
        await asyncio.gather(one.task, return_exceptions=True)
        one.log.close()


def errors(kind: str) -> float:
    labels = {"feed": "kalshi-sim", "error_type": kind}
    return REGISTRY.get_sample_value("ssmd_connector_errors_total", labels) or 0.0


async def acknowledge(connection: ServerConnection) -> None:
    """Answer every command as the venue does, until the end; books get an empty snapshot."""
    sids, seq = dict[str, int](), 0
    async for text in connection:
        command: dict[str, Any] = json.loads(text)
        if command["cmd"] == "subscribe":
            [channel] = command["params"]["channels"]
            sid = sids.setdefault(channel, len(sids) + 1)
            message = {"channel": channel, "sid": sid}
            await connection.send(json.dumps({"type": "subscribed", "id": command["id"], "msg": message}))
        for ticker in command["params"].get("market_tickers", ()):
            seq += 1
            await connection.send(snapshot(ticker, seq, sid=sids["orderbook_delta"]).decode())


async def test_a_ready_connection_is_marked_and_a_planned_end_is_no_loss(tmp_path: Path) -> None:
    async with venue(acknowledge) as url, recording(tmp_path, url) as one:
        await until(one.capture.listing_due.is_set)
        await one.make_ready(marks.ConnectionReady)
        one.stop.set()
        await one.task

        assert one.gaps() == []
        assert one.marks[-1] == marks.ConnectionClose(1, 1000, "")


async def test_a_lost_connection_is_a_gap_after_its_last_frame(tmp_path: Path) -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send("last")
        connection.transport.abort()

    async with venue(script) as url, recording(tmp_path, url) as one:
        await until(lambda: one.gaps() != [])

        [frame] = [record for record in one.records if record.kind != Kind.MARK][:1]
        assert one.gaps()[0] == ("connection_lost", frame.n)


async def test_a_venue_that_goes_first_in_a_planned_stop_is_no_loss(tmp_path: Path) -> None:
    async def say_goodbye(connection: ServerConnection) -> None:
        await connection.send(trade("K-1", 1).decode())
        await asyncio.sleep(0.1)
        await connection.close(1001)

    async with venue(say_goodbye) as url, recording(tmp_path, url) as one:
        await until(lambda: bool(one.frames))
        one.capture.expect_end()
        await until(lambda: one.has(marks.ConnectionClose))
        await asyncio.sleep(0.1)
        one.stop.set()
        await one.task

        assert one.gaps() == []
        assert [type(mark) for mark in one.marks] == [marks.ConnectionOpen, marks.ConnectionClose]


async def test_a_quiet_connections_gap_begins_when_it_was_last_heard_of(tmp_path: Path) -> None:
    async def ping_then_cut(connection: ServerConnection) -> None:
        await connection.send(trade("K-1", 1).decode())
        await asyncio.sleep(0.3)
        await connection.ping("heartbeat")
        await asyncio.sleep(0.05)
        connection.transport.abort()

    async with venue(ping_then_cut) as url, recording(tmp_path, url) as one:
        await until(lambda: bool(one.gaps()))

    [frame] = [record for record in one.records if record.kind != Kind.MARK][:1]
    gap = next(mark for mark in one.marks if isinstance(mark, marks.GapOpen))
    assert gap.after_n == frame.n
    assert gap.from_ns - frame.received_ns >= 250_000_000


async def test_a_new_connection_closes_the_gap_when_it_is_ready(tmp_path: Path) -> None:
    calls = 0

    async def script(connection: ServerConnection) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            await acknowledge(connection)

    async with venue(script) as url, recording(tmp_path, url) as one:
        await until(lambda: calls > 1)
        await one.make_ready(marks.GapClose)

        opened = [record.n for record in one.records if b'"gap_open"' in record.payload]
        closed = [mark.gap for mark in one.marks if isinstance(mark, marks.GapClose)]
        assert closed == opened


async def test_every_hole_of_a_subscription_has_its_own_mark(tmp_path: Path) -> None:
    async def script(connection: ServerConnection) -> None:
        for payload in (trade("A", 1), trade("A", 3), trade("A", 4), trade("A", 9)):
            await connection.send(payload.decode())
        await connection.wait_closed()

    async with venue(script) as url, recording(tmp_path, url) as one:
        await until(lambda: len(one.gaps()) == 2)

        numbers = [record.n for record in one.records if record.kind != Kind.MARK]
        assert one.gaps() == [("sequence_gap", numbers[0]), ("sequence_gap", numbers[2])]


async def test_a_hole_in_the_last_frames_before_a_cut_is_marked_too(tmp_path: Path) -> None:
    async def script(connection: ServerConnection) -> None:
        connection.protocol.send_text(delta("A", 1))
        connection.protocol.send_text(delta("A", 7))
        connection.send_data()
        connection.transport.close()

    async with venue(script) as url, recording(tmp_path, url) as one:
        await until(lambda: "connection_lost" in dict(one.gaps()))

        assert [cause for cause, _ in one.gaps()][:2] == ["sequence_gap", "connection_lost"]


async def test_a_dead_subscription_is_an_overflow_of_the_venue(tmp_path: Path) -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send('{"type":"error","sid":1,"seq":1,"msg":{"code":25,"msg":"overflow"}}')
        await connection.wait_closed()

    async with venue(script) as url, recording(tmp_path, url) as one:
        await until(lambda: one.gaps() != [])

        assert one.gaps()[0][0] == "venue_overflow"


async def test_a_wrong_key_at_the_start_is_refused_in_the_venues_words(tmp_path: Path) -> None:
    async with venue(answer=refusal(401, b'{"error":"NOT_FOUND"}')) as url, recording(tmp_path, url) as one:
        with pytest.raises(Refused) as refused:
            await one.task

        assert refused.value.exit_code == ExitCode.PERMISSION
        assert "401" in str(refused.value)
        assert "NOT_FOUND" in str(refused.value)
        assert [cause for cause, _ in one.gaps()] == ["auth_failed"]
        assert errors("auth") >= 1


async def test_a_venue_that_is_not_there_is_one_gap_however_often_it_is_tried(tmp_path: Path) -> None:
    async with recording(tmp_path, "ws://127.0.0.1:1/") as one:
        await asyncio.sleep(1.5)

        assert [cause for cause, _ in one.gaps()] == ["connection_lost"]


async def test_a_stop_is_heard_while_connecting(tmp_path: Path) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with recording(tmp_path, f"ws://127.0.0.1:{port}/") as one:
        await asyncio.sleep(0.2)
        one.stop.set()
        async with asyncio.timeout(2):
            await one.task
        assert (one.gaps(), one.frames) == ([], [])
    silent.close()


def waits(count: int, act: Callable[[BackOff], None] = lambda back_off: None) -> list[float]:
    back_off, found = BackOff(), list[float]()
    for _ in range(count):
        act(back_off)
        found.append(back_off.next_wait())
    return found


def test_a_venue_that_refuses_is_tried_at_most_a_dozen_times_a_minute() -> None:
    for _ in range(200):
        found = waits(20)
        assert min(found) >= 0.5
        assert max(found) <= 30
        # Jitter makes some rows short: a dozen attempts never fit into half a minute.
        assert sum(found[:12]) > 30


def test_connections_that_die_at_once_do_not_reset_the_back_off() -> None:
    longest = [max(waits(12, lambda one: one.connected_for(1.0))) for _ in range(50)]

    assert min(longest) > 5


def test_a_connection_that_lasted_resets_it() -> None:
    assert max(waits(50, lambda one: one.connected_for(61.0))) <= 1.0


def test_a_wait_that_the_venue_asked_for_is_never_cut_short() -> None:
    assert min(waits(20, lambda one: one.asked_to_wait(45.0))) >= 45.0


# -- several lines -----------------------------------------------------------------------------------


class TwoLines(Recording):
    """Books on connections of their own, one each."""

    plan = Plan(books_a_line=1)


async def test_all_market_channels_and_books_have_connections_of_their_own(tmp_path: Path) -> None:
    async with venue(acknowledge) as url, recording(tmp_path, url, TwoLines) as one:
        one.board.learn_listed([listed("A"), listed("B")], now_ns=time.time_ns())
        while sum(isinstance(mark, marks.ConnectionReady) for mark in one.marks) < 3:
            await one.turn()

        opened = {mark.line: mark.channels for mark in one.marks if isinstance(mark, marks.ConnectionOpen)}
        assert opened == {0: ["lifecycle", "ticker", "trade"], 1: ["orderbook"], 2: ["orderbook"]}
        books = [record.connection for record in one.records if b'"orderbook_snapshot"' in record.payload]
        assert len(set(books)) == 2


async def test_a_lost_line_of_several_with_books_is_a_loss_of_its_markets(tmp_path: Path) -> None:
    standing: list[ServerConnection] = []

    async def script(connection: ServerConnection) -> None:
        standing.append(connection)
        await acknowledge(connection)

    async with venue(script) as url, recording(tmp_path, url, TwoLines) as one:
        one.board.learn_listed([listed("A"), listed("B")], now_ns=time.time_ns())
        while sum(isinstance(mark, marks.ConnectionReady) for mark in one.marks) < 3:
            await one.turn()
        standing[-1].transport.abort()
        while not one.has(marks.GapClose):
            await one.turn()

        [gap] = [mark for mark in one.marks if isinstance(mark, marks.GapOpen)]
        assert (gap.cause, gap.channels, gap.tickers) == ("connection_lost", ["orderbook"], ["B"])


async def test_a_lost_line_costs_its_own_channels_only(tmp_path: Path) -> None:
    standing: list[ServerConnection] = []

    async def script(connection: ServerConnection) -> None:
        standing.append(connection)
        await acknowledge(connection)

    async with venue(script) as url, recording(tmp_path, url, TwoLines) as one:
        while sum(isinstance(mark, marks.ConnectionReady) for mark in one.marks) < 2:
            await one.turn()
        standing[0].transport.abort()
        while not one.has(marks.GapClose):
            await one.turn()

        [gap] = [mark for mark in one.marks if isinstance(mark, marks.GapOpen)]
        opened = {mark.connection: mark for mark in one.marks if isinstance(mark, marks.ConnectionOpen)}
        assert (gap.channels, gap.tickers) == (opened[gap.connection].channels, [])
        assert gap.channels


def listed(ticker: str) -> dict[str, Any]:
    return {"ticker": ticker, "status": "active", "open_ns": 1, "close_ns": None}

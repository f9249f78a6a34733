"""Trades of a loss are fetched and written into the log: over a real HTTP server and a real capture log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.events import GapNotice, Source, Trade
from streaming.kalshi import trade_healer
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.normalizer import Normalizer
from streaming.kalshi.recent_trades import RecentTrades
from streaming.kalshi.trade_healer import TradeHealer, has_trades
from streaming.records import Kind, Record
from tests.streaming.kalshi.frames import trade
from tests.streaming.kalshi.rest_server import Server, rest_server

S = 1_000_000_000
NOON = 1_795_867_200 * S  # 2026-11-28T12:00:00Z
LOST = marks.GapOpen("connection_lost", 1, from_ns=NOON, after_n=7)


class Healing:
    """A healer at work, and what it wrote."""

    def __init__(self, folder: Path, server: Server, recent: RecentTrades) -> None:
        self.server, self.folder = server, folder / "s"
        self.log = CaptureLog(self.folder, environment="demo", session="s")
        self.healer = TradeHealer(server.url, Keyring(None), self.log, recent, feed="kalshi-sim")

    @property
    def records(self) -> list[Record]:
        return CaptureLogReader(self.folder).read()

    @property
    def told(self) -> list[marks.Mark]:
        return [marks.decode(record.payload) for record in self.records if record.kind == Kind.MARK]

    async def healed(self) -> marks.GapHealed:
        async with asyncio.timeout(5):
            while not (found := [mark for mark in self.told if isinstance(mark, marks.GapHealed)]):
                await asyncio.sleep(0.01)
        return found[0]


@asynccontextmanager
async def healing(
    folder: Path, *rows: dict[str, Any], recent: RecentTrades | None = None
) -> AsyncIterator[Healing]:
    with rest_server() as server:
        server.answers = {"/markets/trades": [(200, {"trades": list(rows), "cursor": ""})]}
        one = Healing(folder, server, recent or RecentTrades())
        task = asyncio.create_task(one.healer.run())
        try:
            yield one
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            one.log.close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trade_healer, "SETTLED_SECONDS", 0)
    monkeypatch.setattr(trade_healer, "AGAIN_SECONDS", 0.05)


def row(trade_id: str, second: int) -> dict[str, Any]:
    return {
        "ticker": "A", "trade_id": trade_id, "created_time": f"2026-11-28T12:00:{second:02d}Z", "count_fp": "3.50",
        "yes_price_dollars": "0.4200", "no_price_dollars": "0.5800", "taker_outcome_side": "no",
        "taker_book_side": "ask", "is_block_trade": False,
    }  # fmt: skip


async def test_the_trades_of_a_loss_that_the_stream_did_not_bring_are_written(tmp_path: Path) -> None:
    recent = RecentTrades()
    recent.note(trade("A", 1, trade_id="came"))
    async with healing(tmp_path, row("late", 9), row("came", 5), row("lost", 3), recent=recent) as one:
        one.healer.gap_closed(8, LOST, NOON + 6 * S)
        healed = await one.healed()

    assert healed == marks.GapHealed(gap=8, trades=1)
    [told] = [mark for mark in one.told if isinstance(mark, marks.RestTrades)]
    assert [trade["trade_id"] for trade in told.trades] == ["lost"]


async def test_they_become_events_that_say_where_they_are_from(tmp_path: Path) -> None:
    async with healing(tmp_path, row("two", 4), row("one", 3)) as one:
        one.healer.gap_closed(8, LOST, NOON + 6 * S)
        await one.healed()

    normalizer = Normalizer("s")
    events = [event for record in one.records for event in normalizer.apply(record)]
    trades = [event for event in events if isinstance(event, Trade)]
    assert [(event.trade_id, event.price_e4, event.size_e2) for event in trades] == [
        ("one", 4200, 350),
        ("two", 4200, 350),
    ]
    assert {event.origin.source for event in trades} == {Source.REST}
    assert trades[0].venue_ns == NOON + 3 * S


async def test_a_rest_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    async with healing(tmp_path) as one:
        one.server.answers["/markets/trades"] = [(404, {}), (200, {"trades": [row("lost", 3)], "cursor": ""})]
        one.healer.gap_closed(8, LOST, NOON + 6 * S)

        assert (await one.healed()).trades == 1


async def test_what_an_earlier_session_lost_is_healed_under_its_name(tmp_path: Path) -> None:
    crash = GapNotice("process_crash", "old", 99, 0, NOON, None)
    async with healing(tmp_path, row("lost", 3)) as one:
        one.healer.crashed([crash], to_ns=NOON + 6 * S)
        healed = await one.healed()

    assert healed == marks.GapHealed(gap=99, trades=1, session="old")


async def test_nothing_is_written_behind_the_end_of_a_session(tmp_path: Path) -> None:
    async with healing(tmp_path, row("lost", 3)) as one:
        one.healer.is_log_open = False
        one.healer.gap_closed(8, LOST, NOON + 6 * S)
        async with asyncio.timeout(5):
            while not one.server.asked:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    assert one.told == []


@pytest.mark.parametrize(
    ("facts", "is_healed"),
    [
        ({}, True),
        ({"channels": ["lifecycle", "ticker", "trade"]}, True),
        ({"channels": ["orderbook"]}, False),
        ({"tickers": ["A"]}, False),
        ({"sid": 3, "channel": "trade"}, True),
        ({"sid": 3, "channel": "orderbook"}, False),
    ],
)
def test_only_losses_in_which_trades_may_be_missing_are_healed(
    facts: dict[str, Any], is_healed: bool
) -> None:
    assert has_trades(marks.GapOpen("connection_lost", 1, 1, 1, **facts)) is is_healed


@pytest.mark.parametrize("cause", ["stream_hole", "planned_teardown"])
def test_what_lost_no_frames_of_the_venue_is_not_healed(cause: str) -> None:
    assert not has_trades(marks.GapOpen(cause, 0, 1, 1))

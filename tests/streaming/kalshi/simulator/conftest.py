"""A small recording made by hand, and an exchange that serves while a test runs."""

import asyncio
import contextlib
import gzip
import io
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.server import Options, Service

START_MS = 1_786_410_063_944
Line = dict[str, Any]
Serving = Callable[..., AbstractAsyncContextManager[Service]]


def snapshot(at: int, ticker: str = "KXGOLD15M-26AUG102115-15", **sides: list[list[str]]) -> Line:
    """A recorded snapshot, `at` ms after the start."""
    msg = {"market_ticker": ticker, "market_id": "e17f9914-b35c-4692-a0f4-4553cd349b07", **sides}
    return {
        "recv_ms": START_MS + at,
        "event": {"type": "orderbook_snapshot", "sid": 1, "seq": 900 + at, "msg": msg},
    }


def delta(at: int, price: str, size: str, side: str, ticker: str = "KXGOLD15M-26AUG102115-15") -> Line:
    """A recorded delta, `at` ms after the start."""
    ts_ms = START_MS + at - 12
    msg = {
        "market_ticker": ticker, "market_id": "e17f9914-b35c-4692-a0f4-4553cd349b07", "price_dollars": price,
        "delta_fp": size, "side": side, "ts": _text(ts_ms), "ts_ms": ts_ms,
    }  # fmt: skip
    return {
        "recv_ms": START_MS + at,
        "event": {"type": "orderbook_delta", "sid": 1, "seq": 900 + at, "msg": msg},
    }


def trade(at: int, price: str, size: str, ticker: str = "KXGOLD15M-26AUG102115-15") -> Line:
    """A recorded trade, `at` ms after the start."""
    ts_ms = START_MS + at - 12
    msg = {
        "trade_id": f"9d2df3b2-c3bb-4ec6-dd79-{at:012d}", "market_ticker": ticker, "yes_price_dollars": price,
        "no_price_dollars": f"{1 - float(price):.4f}", "count_fp": size, "taker_side": "no",
        "taker_outcome_side": "no", "taker_book_side": "ask", "ts": ts_ms // 1000, "ts_ms": ts_ms,
    }  # fmt: skip
    return {"recv_ms": START_MS + at, "event": {"type": "trade", "sid": 2, "seq": 70 + at, "msg": msg}}


def _text(at_ms: int) -> str:
    from streaming.kalshi.simulator.frames import rfc3339

    return rfc3339(at_ms * 1000 + 273)


MARKET = "KXGOLD15M-26AUG102115-15"
SMALL = [
    snapshot(
        0, yes_dollars_fp=[["0.3300", "145.00"], ["0.3400", "25.00"]], no_dollars_fp=[["0.4500", "18.20"]]
    ),
    delta(100, "0.3400", "-0.10", "yes"),
    trade(101, "0.3400", "0.10"),
    delta(200, "0.6000", "7.77", "no"),
    delta(300, "0.6000", "-7.77", "no"),
    delta(400, "0.6100", "3.05", "no"),
]


def write(path: Path, lines: list[Line]) -> Path:
    """A recording on disk, gzipped if its name says so."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def write_metadata(path: Path) -> None:
    """What REST said of the market after its end."""
    event = {"event_ticker": "KXGOLD15M-26AUG102115", "series_ticker": "KXGOLD15M", "category": "Commodities"}
    market = {
        "ticker": MARKET, "event_ticker": "KXGOLD15M-26AUG102115", "status": "finalized", "result": "yes",
        "settlement_ts": "2026-08-11T01:15:05.466228Z", "liquidity_dollars": "0.0000", "floor_strike": 4409.59,
        "open_time": "2026-08-11T01:00:00Z", "close_time": "2026-08-11T01:15:00Z",
    }  # fmt: skip
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"response": {"event": event, "markets": [market]}}))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Six frames of one market."""
    return write(tmp_path / "events" / MARKET / "2026-08-11.ndjson.gz", SMALL)


@pytest.fixture
def recordings() -> Path:
    """The folder of real recordings; skipped without it."""
    folder = os.environ.get("SSMD_RECORDINGS")
    if folder:
        return Path(folder)
    if os.environ.get("SSMD_REQUIRE_ALL") == "1":
        pytest.fail("SSMD_RECORDINGS is not set")
    pytest.skip("SSMD_RECORDINGS is not set")


@pytest.fixture
def serving() -> Serving:
    """`async with serving(replay=[...]) as service:` on a free port."""

    @contextlib.asynccontextmanager
    async def serve(**changes: Any) -> AsyncIterator[Service]:
        defaults: dict[str, Any] = {
            "host": "127.0.0.1", "port": 0, "seed": 1, "markets": None, "rate": 500.0, "replay": (), "speed": 0.0,
            "once": False, "original_times": False, "ledger": None, "door": Door({}),
        }  # fmt: skip
        service, stop = Service(Options(**(defaults | changes))), asyncio.Event()
        task = asyncio.create_task(service.serve(stop, stderr=io.StringIO()))
        while not service.port and not task.done():
            await asyncio.sleep(0.005)
        try:
            yield service
        finally:
            stop.set()
            await task
            service.close()

    return serve

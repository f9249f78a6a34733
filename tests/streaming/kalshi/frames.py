"""Frames as the venue writes them, and recorded ones."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from streaming.records import Kind, Record

START_NS = 1_786_401_938 * 10**9  # when the trade below was made


def frame(kind: str, *, sid: int | None = 1, seq: int | None = None, **fields: Any) -> bytes:
    """One frame; `msg` and other outer fields by name."""
    outer: dict[str, Any] = {"type": kind}
    if sid is not None:
        outer["sid"] = sid
    if seq is not None:
        outer["seq"] = seq
    return json.dumps({**outer, **fields}).encode() + b"\n"


def snapshot(ticker: str, seq: int, *, sid: int = 1, yes: Any = None, no: Any = None) -> bytes:
    sides = {name: side for name, side in (("yes_dollars_fp", yes), ("no_dollars_fp", no)) if side}
    return frame("orderbook_snapshot", sid=sid, seq=seq, msg={"market_ticker": ticker, **sides})


def delta(
    ticker: str, seq: int, *, sid: int = 1, price: str = "0.4000", change: str = "1.00", side: str = "yes"
) -> bytes:
    body = {"market_ticker": ticker, "price_dollars": price, "delta_fp": change, "side": side}
    return frame("orderbook_delta", sid=sid, seq=seq, msg=body)


def trade(ticker: str, seq: int, *, sid: int = 2, **fields: Any) -> bytes:
    body = {
        "trade_id": f"t{seq}", "market_ticker": ticker, "yes_price_dollars": "0.5400",
        "no_price_dollars": "0.4600", "count_fp": "9.12", "taker_outcome_side": "yes", "ts_ms": 1786401938602,
    }  # fmt: skip
    return frame("trade", sid=sid, seq=seq, msg={**body, **fields})


def lifecycle(ticker: str, event: str, seq: int | None = None, *, sid: int = 3, **fields: Any) -> bytes:
    body = {"market_ticker": ticker, "event_type": event, **fields}
    return frame("market_lifecycle_v2", sid=sid, seq=seq, msg=body)


def record(payload: bytes, n: int = 1, *, connection: int = 1, kind: int = Kind.TEXT) -> Record:
    return Record(n, START_NS + n, connection, kind, payload)


def recorded(path: Path) -> Iterator[bytes]:
    """The frames of one recording: verbatim, or wrapped in {"recv_ms", "event"}."""
    data = path.read_bytes()
    for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines(keepends=True):
        if line.strip():
            row = json.loads(line)
            yield json.dumps(row["event"]).encode() if "event" in row else line


def recordings_of(folder: Path) -> list[tuple[str, bool]]:
    """(path in the folder, use_yes_price) of every recording in the present dialect."""
    gold = sorted(path for path in (folder / "gold15m/events").rglob("*.gz") if path.stat().st_size < 700_000)
    plain = [
        folder / "cockpit/ws_orderbook_stream.jsonl",
        folder / "fortuna_demo/ws__orderbook_trade_noleg.jsonl",
        folder / "fortuna_demo/ws__orderbook_trade_yes.jsonl",
        folder / "misc/demo_samples_2026-08.jsonl",
    ]
    return [(str(path.relative_to(folder)), path.name.endswith("_yes.jsonl")) for path in [*plain, *gold]]


def every_recording(folder: Path) -> list[str]:
    """The path in the folder of every recording of WebSocket frames, whatever its wire."""
    found = [
        *(folder / "gold15m/events").rglob("*.gz"),
        folder / "cockpit/ws_orderbook_stream.jsonl",
        *(folder / "fortuna_demo").glob("ws__*.jsonl"),
        *(folder / "ssmd").glob("*.jsonl"),
        *(folder / "mxgordon_oct2025").glob("*.jsonl"),
        *(folder / "misc").glob("*.jsonl"),
    ]
    return sorted(str(path.relative_to(folder)) for path in found)

"""Every field of every recorded frame is read, or left aside for a reason that stands here."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.issues import IssueKind
from streaming.kalshi.normalizer import Normalizer
from streaming.kalshi.shape_watch import KNOWN, OUTER, READ
from streaming.records import Kind, Record
from tests.streaming.kalshi.frames import every_recording, recorded

# Frames that hold no event of a market: raw keeps them.
NO_EVENT = {"subscribed", "ok", "event_lifecycle"}
DAYS_NS = {"mxgordon_oct2025": 1_759_350_000 * 10**9, "2026-02-12": 1_770_897_976 * 10**9}
NOW_NS = 1_786_401_938 * 10**9


@pytest.mark.slow
def test_no_recorded_field_is_unexplained(recordings: Path) -> None:
    unexplained: Counter[str] = Counter()
    seen: dict[str, set[str]] = {}
    for name in every_recording(recordings):
        for payload in recorded(recordings / name):
            outer = msgspec.json.decode(payload)
            unexplained.update(outer.keys() - OUTER)
            kind = outer["type"]
            if kind in NO_EVENT:
                continue
            fields = outer["msg"].keys()
            seen.setdefault(kind, set()).update(fields)
            unexplained.update(f"{kind}.{field}" for field in fields - KNOWN[kind])
    assert unexplained == {}
    assert seen.keys() == READ.keys()


@pytest.mark.slow
def test_every_recorded_frame_is_read_without_an_issue(recordings: Path) -> None:
    found: Counter[str] = Counter()
    for name in every_recording(recordings):
        normalizer = Normalizer("s")
        began_ns = next((at for part, at in DAYS_NS.items() if part in name), NOW_NS)
        for n, payload in enumerate(recorded(recordings / name), start=1):
            if _is_pasted_together(name):
                normalizer = Normalizer("s")
            events = normalizer.apply(
                Record(n, _day_of(name, payload) or began_ns + n, 1, Kind.TEXT, payload)
            )
            assert bool(events) is (normalizer.frame_type not in NO_EVENT), (name, payload)
            issues = [one for one in normalizer.issues if one.kind is not IssueKind.TIME_SKEW]
            assert issues == [], (name, payload)  # when it was received, most recordings do not tell
            found[normalizer.frame_type] += 1
    assert found.keys() == READ.keys() | NO_EVENT


def _is_pasted_together(name: str) -> bool:
    """Single frames of several connections: their numbers say nothing of each other."""
    return name.startswith(("ssmd/", "mxgordon_oct2025/"))


def _day_of(name: str, payload: bytes) -> int | None:
    """When a frame of a collection over many days was sent: its wire is that day's."""
    if not name.startswith("ssmd/kalshi_ws"):
        return None
    body = json.loads(payload)["msg"]
    # One sample's `ts` is a year too old: its market is one of November 2025.
    return None if "ts" not in body else int(body["ts"]) * 10**9


EXAMPLE: dict[str, dict[str, Any]] = {
    "orderbook_snapshot": {"market_ticker": "A", "market_id": "m"},
    "orderbook_delta": {
        "market_ticker": "A", "market_id": "m", "price_dollars": "0.4000", "delta_fp": "1.00", "side": "yes", "ts_ms": 5,
    },
    "trade": {
        "trade_id": "t", "market_ticker": "A", "yes_price_dollars": "0.4000", "no_price_dollars": "0.6000",
        "count_fp": "1.00", "taker_outcome_side": "yes", "is_block_trade": False, "ts_ms": 5,
    },
    "ticker": {"market_ticker": "A", "ts_ms": 5},
    "market_lifecycle_v2": {"market_ticker": "A", "event_type": "x"},
}  # fmt: skip
CHANGED: dict[str, Any] = {
    "market_ticker": "B", "market_id": "other", "price_dollars": "0.3000", "delta_fp": "2.00", "side": "no",
    "ts_ms": 6, "trade_id": "u", "yes_price_dollars": "0.3000", "no_price_dollars": "0.5000", "count_fp": "2.00",
    "taker_outcome_side": "no", "taker_side": "no", "taker_book_side": "ask", "is_block_trade": True,
    "yes_bid_dollars": "0.1", "yes_ask_dollars": "0.2", "yes_bid_size_fp": "1", "yes_ask_size_fp": "2",
    "last_trade_size_fp": "3", "volume_fp": "4", "open_interest_fp": "5", "event_type": "created", "open_ts": 1,
    "close_ts": 2, "is_deactivated": True, "result": "yes", "determination_ts": 3, "settled_ts": 4,
    "settlement_value": "1.0000", "yes_dollars_fp": [["0.1", "1"]], "no_dollars_fp": [["0.1", "1"]],
    "yes_dollars": [["0.1", 1]], "no_dollars": [["0.1", 1]], "yes": [[10, 1]], "no": [[10, 1]],
}  # fmt: skip
# What is read only where nothing better is there: without that, it counts.
INSTEAD_OF = {
    "price": "price_dollars", "delta": "delta_fp", "yes_price": "yes_price_dollars", "no_price": "no_price_dollars",
    "count": "count_fp", "yes_bid": "yes_bid_dollars", "yes_ask": "yes_ask_dollars", "volume": "volume_fp",
    "open_interest": "open_interest_fp", "ts": "ts_ms", "time": "ts_ms",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, struct in READ.items() for field in struct.__struct_fields__]
)
def test_every_field_that_is_read_makes_a_difference(kind: str, field: str) -> None:
    without = {name: value for name, value in EXAMPLE[kind].items() if name != INSTEAD_OF.get(field)}
    changed = 7 if field in INSTEAD_OF and field != "time" else CHANGED.get(field, "2026-08-11T01:15:15Z")
    if kind == "market_lifecycle_v2" and field == "is_deactivated":
        without["event_type"] = "activated"

    assert _told(kind, {**without, field: changed}) != _told(kind, without)


def _told(kind: str, body: dict[str, Any]) -> Any:
    normalizer = Normalizer("s")
    frame = json.dumps({"type": kind, "sid": 1, "msg": body}).encode()
    events = normalizer.apply(Record(1, NOW_NS, 1, Kind.TEXT, frame))
    # The details are the message itself: they always differ.
    return [
        msgspec.structs.replace(event, details="") if hasattr(event, "details") else event for event in events
    ], normalizer.issues

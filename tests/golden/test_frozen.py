"""v1 and v2 are frozen: their texts never change, and what was written by them is read for ever.

A change that fails here needs a new schema version. The messages in v1/ and v2/ are never made anew.
"""

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import capnp
import pytest

from streaming import wire
from streaming.events import Event
from tests.conftest import absent
from tests.golden.events import EVENTS

HERE, SCHEMAS = Path(__file__).parent, Path(wire.SCHEMA_FOLDER)
TEXTS = {
    "v1": "d629739f9ac4df2e0bf932bb15e11c273f400c91b04dff90dcef690495790d1b",
    "v2": "4c2df41300878bf9b90fdde758e9dae8fc3296025817f1f5d913fd66553b5ef2",
}
_readers = {
    version: capnp.SchemaParser().load(str(SCHEMAS / f"market_data.{version}.capnp")) for version in TEXTS
}
_STRUCTS = {
    "trade": "Trade", "orderbook": "OrderBookUpdate", "checkpoint": "OrderBookUpdate", "status": "MarketStatus",
    "ticker": "Ticker", "gap": "Gap",
}  # fmt: skip

V1: dict[str, tuple[str, dict[str, Any]]] = {
    "trade": (
        "Trade",
        {
            "timestamp": 1_765_670_400_111_000_000, "ticker": "INXD-25-B4000", "price": 0.45, "size": 10,
            "side": "sell", "tradeId": "ba2632f9-7d17-66f5-2f82-7b085e54db40",
        },
    ),
    "book": (
        "OrderBookUpdate",
        {
            "timestamp": 1_765_670_400_111_000_000, "ticker": "INXD-25-B4000",
            "bids": [{"price": 0.44, "size": 100}], "asks": [{"price": 0.46, "size": 150}],
        },
    ),
    "status": (
        "MarketStatus",
        {"timestamp": 1_765_670_400_111_000_000, "ticker": "INXD-25-B4000", "status": "halted"},
    ),
}  # fmt: skip


def golden(version: str, name: str) -> bytes:
    return bytes.fromhex((HERE / version / f"{name}.hex").read_text())


@pytest.mark.parametrize("version", TEXTS)
def test_a_frozen_text_does_not_change(version: str) -> None:
    text = (SCHEMAS / f"market_data.{version}.capnp").read_bytes()

    assert hashlib.sha256(text).hexdigest() == TEXTS[version]


def test_there_is_a_message_of_every_kind() -> None:
    assert {path.stem for path in (HERE / "v2").glob("*.hex")} == EVENTS.keys()
    assert {path.stem for path in (HERE / "v1").glob("*.hex")} == V1.keys()


@pytest.mark.parametrize("name", EVENTS)
def test_a_message_of_v2_is_read_as_it_was_meant(name: str) -> None:
    token, event = EVENTS[name]

    assert wire.decode(token, golden("v2", name)) == event


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_written_today_means_the_same(name: str) -> None:
    token, event = EVENTS[name]
    reader = getattr(_readers["v2"], _STRUCTS[token])

    with reader.from_bytes(golden("v2", name)) as then, reader.from_bytes(wire.encode(event)) as now:
        assert now.to_dict() == then.to_dict()


@pytest.mark.parametrize("version", TEXTS)
@pytest.mark.parametrize("name", V1)
def test_a_message_of_v1_is_read_by_both(name: str, version: str) -> None:
    struct, fields = V1[name]

    with getattr(_readers[version], struct).from_bytes(golden("v1", name)) as message:
        found = message.to_dict()
    assert _only(fields, found) == fields


@pytest.mark.parametrize(
    "name", [name for name, (token, _) in EVENTS.items() if token not in ("ticker", "gap")]
)
def test_a_reader_of_v1_reads_the_messages_of_v2(name: str) -> None:
    token, event = EVENTS[name]

    with getattr(_readers["v1"], _STRUCTS[token]).from_bytes(golden("v2", name)) as message:
        assert (message.ticker, message.timestamp) == (event.ticker, _time(event))  # type: ignore[union-attr]
        assert {field: message.__getattr__(field) for field in V1_VALUES.get(name, ())} == V1_VALUES.get(
            name, {}
        )


# What v1 knows of some of them.
V1_VALUES: dict[str, dict[str, Any]] = {
    "trade": {"price": 0.4512, "size": 10, "side": "sell", "tradeId": "ba2632f9-7d17-66f5-2f82-7b085e54db40"},
    "trade-healed": {"price": 0.45, "size": 1, "side": "buy", "tradeId": "t"},
    "status-open": {"status": "open"},
    "status-halted": {"status": "halted"},
    "status-closed-by-clock": {"status": "closed"},
}


def _time(event: Event) -> int:
    return event.origin.received_ns if event.venue_ns is None else event.venue_ns  # type: ignore[union-attr]


def _only(wanted: Any, found: Any) -> Any:
    """`found` without what `wanted` does not have."""
    if isinstance(wanted, dict):
        return {name: _only(value, found[name]) for name, value in wanted.items()}
    if isinstance(wanted, list):
        return [_only(one, other) for one, other in zip(wanted, found, strict=True)]
    return found


def test_the_formats_own_tool_reads_a_file_of_messages() -> None:
    """`zstd -dc data.capnp.zst | capnp decode` needs nothing of ours: messages stand one behind the other."""
    tool = shutil.which("capnp") or absent("the capnp tool is not installed (Debian: capnproto)")
    names = [name for name, (token, _) in EVENTS.items() if token in ("orderbook", "checkpoint")]

    decoded = subprocess.run(
        [tool, "decode", "--short", str(SCHEMAS / "market_data.v2.capnp"), "OrderBookUpdate"],
        input=b"".join(wire.encode(EVENTS[name][1]) for name in names),
        capture_output=True,
        check=True,
    )

    lines = decoded.stdout.decode().splitlines()
    assert len(lines) == len(names)
    assert "deltaE2 = -4050, sizeE2 = 5950, sizeKnown = true" in lines[names.index("book-delta-bid")]
    assert "kind = checkpoint" in lines[names.index("book-checkpoint")]

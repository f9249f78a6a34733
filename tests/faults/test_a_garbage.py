"""A20, A21, A25: frames that cannot be read. Raw never depends on whether they can."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.kalshi.line import Line
from streaming.kalshi.messages import decode_envelope
from streaming.records import Kind
from tests.faults.a_exchange import Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry
from tests.faults.proof import fault


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Only what can be read is recorded."""
    record = Line._on_frame

    def parsed_first(line: Line, kind: int, payload: bytes, received_ns: int) -> None:
        try:
            decode_envelope(payload)
        except msgspec.DecodeError:
            return
        record(line, kind, payload, received_ns)

    return lambda: monkeypatch.setattr(Line, "_on_frame", parsed_first)


async def is_counted(life: Life, metric: str, before: float, least: int) -> None:
    await life.until(lambda: life.count_of(metric) - before >= least)


@fault("A20")
@pytest.mark.parametrize("how", ["cut", "doubled", "garbage"])
def test_what_is_no_json_is_recorded_as_it_came(how: str, tmp_path: Path, off: Any, bus: Any) -> None:
    """Its number could not be read: that is a gap of the subscription, though nothing of it is missing in raw."""

    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(errors("parse"))
        await life.more()
        await life.struck(do="malformed", how=how, channel="trade")
        await life.over()
        await is_counted(life, errors("parse"), before, 1)

    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=errors("parse"), config=bus)


@fault("A20")
def test_mutations_are_recorded_as_they_came(tmp_path: Path, off: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.struck(do="malformed", how="random", channel="trade", count=60)
        life.claim(life.line.is_connected, "the connection is gone")

    prove_by_living(
        tmp_path, act, off, gaps=("sequence_gap",), metric=received("trade"), is_distinct=True, is_timed=False
    )


@fault("A21")
@pytest.mark.parametrize(
    "order",
    [
        {"do": "invalid_utf8", "channel": "trade", "count": 3},
        {"do": "inject", "b64": base64.b64encode(b'\xef\xbb\xbf{"type":"trade"}').decode(), "times": 3},
        {"do": "inject", "b64": base64.b64encode(b'{"type":"tr\x00de"}').decode(), "times": 3},
        {"do": "inject", "b64": base64.b64encode(bytes(range(256))).decode(), "binary": True, "times": 3},
    ],
    ids=["invalid UTF-8", "byte order mark", "NUL", "binary"],
)
def test_bytes_that_are_no_text_are_recorded_as_they_came(
    order: dict[str, Any], tmp_path: Path, off: Any, bus: Any
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(errors("parse"))
        await life.struck(**order)
        await is_counted(life, errors("parse"), before, 3)

    gaps = ("sequence_gap",) if order["do"] == "invalid_utf8" else ()
    prove_by_living(
        tmp_path, act, off, gaps=gaps, metric=errors("parse"), at_least=3, config=bus, is_distinct=True
    )


@fault("A21")
def test_a_frame_that_comes_as_binary_is_recorded_as_one_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.struck(do="binary", channel="trade", count=3)

    record = Line._on_frame

    def text_only(line: Line, kind: int, payload: bytes, received_ns: int) -> None:
        if kind == Kind.TEXT:
            record(line, kind, payload, received_ns)

    def off() -> None:
        monkeypatch.setattr(Line, "_on_frame", text_only)

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("trade"), at_least=3)


TEXTS = (
    "", " ", "\n", "\t\r\n", "[]", "{}", "null", "true", "0", "-1", "1e999", "-1e999", "NaN", "Infinity", "-0.0",
    '""', '"text"', "[" * 100_000, "[" * 2000 + "]" * 2000, '{"a":' * 100_000, "9" * 5000, f'{{"type":{"9" * 5000}}}',
    "{", "}", "[1,2", "[1,,2]", '{"type"}', '{"type":}', '{"type":null}', '{"type":1}', '{"type":["trade"]}',
    '{"type":"trade"}', '{"type":"trade","msg":null}', '{"type":"trade","msg":[]}', '{"type":"trade","msg":"x"}',
    '{"type":"trade","type":"ticker"}', '{"type":"trade","sid":"one"}', '{"type":"trade","seq":1.5}',
    '{"type":"trade","sid":-1,"seq":-1}', '{"type":"trade","sid":99999999999999999999,"seq":1}',
    '{"type":"trade","msg":{"market_ticker":"\\ud800"}}', '{"type":"\\udc00"}', '{"type":"trade","msg":{"ts_ms":NaN}}',
    '{"type":"trade","msg":{"trade_id":{}}}', '{"type":"ticker","msg":{"market_ticker":""}}', "{'type':'trade'}",
    '{"type":"subscribed"}', '{"type":"subscribed","id":1,"msg":{"sid":{}}}', '{"type":"ok","id":"x"}',
    '{"type":"error"}', '{"type":"error","msg":{"code":"x"}}', '{"type":"error","id":99,"msg":{"code":8}}',
    '{"type":"orderbook_delta","msg":{}}', '{"type":"orderbook_snapshot","msg":{"yes_dollars_fp":[[1]]}}',
    '{"type":"market_lifecycle_v2","msg":{"event_type":[]}}', "// comment", "<html></html>", "\ufeff{}", "\u2028",
    "PING", '{"type":"trade"}{"type":"trade"}', '{"type":"trade"} x', '{"type":"' + "x" * 100_000 + '"}',
)  # fmt: skip


@fault("A25")
def test_sixty_odd_texts_are_recorded_and_cost_nothing_else(tmp_path: Path, off: Any, bus: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(errors("parse"))
        for text in TEXTS:
            life.exchange.fault(do="inject", text=text)
        await life.more(len(TEXTS) + 20)
        await is_counted(life, errors("parse"), before, 40)
        life.claim(life.session.capture.is_ready, "the connection is gone")

    prove_by_living(tmp_path, act, off, gaps=(), metric=errors("parse"), at_least=40, config=bus)


@fault("A25")
def test_an_empty_frame_instead_of_a_numbered_one_is_a_gap(tmp_path: Path, off: Any) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        await life.struck(do="empty_frame", channel="trade")
        await life.over()

    prove_by_living(tmp_path, act, off, gaps=("sequence_gap",), metric=errors("sequence"))

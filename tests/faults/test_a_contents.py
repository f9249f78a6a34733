"""A20, A21, A25 to A30: frames that hold what nobody expects. Raw never depends on what can be read."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streaming.issues import IssueKind
from streaming.kalshi import frame_counts, mapper, normalizer
from streaming.kalshi.line import Line
from streaming.kalshi.messages import decode_envelope
from streaming.records import Kind
from tests.faults.a_exchange import Life, errors, hurry, prove_by_living, received
from tests.faults.a_ledger import read
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault
from tests.running import NatsServer

YEAR_SECONDS = 365 * 86_400


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What cannot be read is counted by whoever publishes."""
    server = NatsServer(tmp_path_factory.mktemp("bus"))
    server.start()
    yield {"nats_url": server.url}
    server.stop()


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
@pytest.mark.parametrize("how", ["cut", "doubled", "comma", "quote", "garbage"])
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


# -- what can be read ----------------------------------------------------------------------------------


@fault("A26")
def test_a_type_that_nobody_knows_is_recorded_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(received("unknown"))
        life.exchange.fault(do="unknown_type", type="market_mood", times=5, channel="trade")
        await is_counted(life, received("unknown"), before, 5)
        await life.more()

    def judge(rig: Rig) -> list[str]:
        _, issues = read(rig.archive())
        told = [issue for issue in issues if "market_mood" in issue.sample and issue.kind is IssueKind.WIRE_DRIFT]  # fmt: skip
        return [] if len(told) == 5 else [f"told {len(told)} times"]

    def off() -> None:
        monkeypatch.setattr(frame_counts, "raw_type", lambda name: "control")

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("unknown"), at_least=5, judge=judge)


STRANGERS = 1000


@fault("A27")
def test_trades_of_markets_that_nobody_announced_are_kept_and_cost_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        rest: Any = life.exchange.exchange.rest
        monkeypatch.setattr(
            life.exchange.exchange, "rest", lambda *a, **b: requests.append(a) or rest(*a, **b)
        )
        before = life.count_of(received("trade"))
        life.exchange.fault(do="unknown_markets", markets=STRANGERS, seconds=0.2)
        await is_counted(life, received("trade"), before, STRANGERS)
        life.claim(len(requests) < 5, f"{len(requests)} requests")

    def judge(rig: Rig) -> list[str]:
        events, _ = read(rig.archive())
        found = {one.ticker for one in events if getattr(one, "ticker", "").startswith("KXSTRANGE")}
        return [] if len(found) == STRANGERS else [f"trades of {len(found)} strangers"]

    record = Line._on_frame

    def known_only(line: Line, kind: int, payload: bytes, received_ns: int) -> None:
        if b"KXSTRANGE" not in payload:
            record(line, kind, payload, received_ns)

    def off() -> None:
        monkeypatch.setattr(Line, "_on_frame", known_only)

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("trade"), at_least=STRANGERS, judge=judge)


def told(*kinds: IssueKind) -> Any:
    """The archive normalizes to these issues, in this order, and to no others."""

    def judge(rig: Rig) -> list[str]:
        _, issues = read(rig.archive())
        found = tuple(issue.kind for issue in issues)
        return [] if found == kinds else [f"issues {[(one.kind.value, one.sample) for one in issues]}"]

    return judge


@fault("A28")
def test_fields_that_are_new_missing_or_of_another_type_are_told_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus: Any
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(errors("parse"))
        await life.struck(do="unknown_field", field="mood", value={"a": []}, channel="trade", count=1)
        await life.struck(do="drop_field", field="trade_id", channel="trade", count=1)
        await life.struck(do="wrong_type", field="market_ticker", channel="trade", count=1)
        await life.struck(do="wrong_type", field="ts_ms", channel="trade", count=1)
        await is_counted(life, errors("parse"), before, 2)

    def off() -> None:
        monkeypatch.setattr(normalizer, "read_frame", lambda envelope: None)

    judge = told(IssueKind.MISSING_FIELD, IssueKind.PARSE_ERROR, IssueKind.PARSE_ERROR)
    prove_by_living(
        tmp_path, act, off, gaps=(), metric=errors("parse"), at_least=2, config=bus, judge=judge
    )


PRICES = ("-0.1000", "1.5000", "4294967296", "-0.0", "0.00001", "NaN")
SIZES = ("-1.00", "0.001", "99999999999999999999.00")


@fault("A29")
def test_values_out_of_range_are_told_and_not_made_into_trades(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bus: Any
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        before = life.count_of(errors("parse"))
        for field, values in (("yes_price_dollars", PRICES), ("count_fp", SIZES)):
            for value in values:
                await life.struck(do="set_field", field=field, value=value, channel="trade", count=1)
        await is_counted(life, errors("parse"), before, 8)

    def judge(rig: Rig) -> list[str]:
        events, issues = read(rig.archive())
        prices = {event.price_e4 for event in events if hasattr(event, "price_e4")}
        wrong = [] if all(0 <= price <= 10_000 for price in prices) else [f"prices {sorted(prices)}"]
        return wrong + ([] if len(issues) >= len(PRICES + SIZES) - 1 else [f"issues {issues}"])

    def off() -> None:
        monkeypatch.setattr(normalizer.Normalizer, "_note", lambda *facts, **more: None)

    prove_by_living(
        tmp_path, act, off, gaps=(), metric=errors("parse"), at_least=8, config=bus, judge=judge
    )


@fault("A30")
def test_the_venues_times_are_kept_told_and_file_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        for seconds in (YEAR_SECONDS, -YEAR_SECONDS):
            await life.struck(do="shift_times", seconds=seconds, channel="trade", count=2)
        await life.struck(do="drop_field", field="ts_ms", channel="trade", count=1)

    def judge(rig: Rig) -> list[str]:
        _, issues = read(rig.archive())
        skewed = [issue for issue in issues if issue.kind is IssueKind.TIME_SKEW]
        days = {key.split("/_parts/")[0] for key in rig.store.list("") if "/_parts/" in key}
        wrong = [] if len(skewed) == 4 else [f"told {len(skewed)} times"]
        return wrong + ([] if len(days) <= 2 else [f"filed under {days}"])

    def off() -> None:
        monkeypatch.setattr(mapper, "_MOST_SKEW", 10**20)

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("trade"), at_least=5, judge=judge)

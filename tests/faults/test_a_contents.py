"""A20, A21, A25 to A30: frames that hold what nobody expects. Raw never depends on what can be read."""

from pathlib import Path
from typing import Any

import pytest

from streaming.issues import IssueKind
from streaming.kalshi import frame_counts, mapper, normalizer
from streaming.kalshi.line import Line
from tests.faults.a_exchange import Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry
from tests.faults.a_ledger import read
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault

YEAR_SECONDS = 365 * 86_400


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


async def is_counted(life: Life, metric: str, before: float, least: int) -> None:
    await life.until(lambda: life.count_of(metric) - before >= least)


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
        return [] if len(told) >= 5 else [f"told {len(told)} times"]

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

        def counted(*facts: Any, **more: Any) -> Any:
            requests.append(facts)
            return rest(*facts, **more)

        monkeypatch.setattr(life.exchange.exchange, "rest", counted)
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

    judge = told(IssueKind.WIRE_DRIFT, IssueKind.MISSING_FIELD, IssueKind.PARSE_ERROR, IssueKind.PARSE_ERROR)
    prove_by_living(tmp_path, act, off, gaps=(), metric=errors("parse"), at_least=2, config=bus, judge=judge)


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

    prove_by_living(tmp_path, act, off, gaps=(), metric=errors("parse"), at_least=8, config=bus, judge=judge)


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

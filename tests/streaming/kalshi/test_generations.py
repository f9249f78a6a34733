"""The same market in each of the venue's wires gives the same events; another wire than the day's is told, not lost."""

import json
from typing import Any

import pytest

from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Level,
    MarketEvent,
    MarketStatus,
    Status,
    Ticker,
    Trade,
)
from streaming.issues import Issue, IssueKind
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind, Record
from tests.streaming.kalshi.frames import frame, lifecycle

_S = 10**9
OCTOBER_2025, FEBRUARY_2026, AUGUST_2026 = 1_759_350_000 * _S, 1_770_897_976 * _S, 1_786_401_938 * _S
DAYS = {"kalshi-cents": OCTOBER_2025, "kalshi-both": FEBRUARY_2026, "kalshi-fp": AUGUST_2026}

CENTS: dict[str, dict[str, Any]] = {
    "orderbook_snapshot": {"yes": [[8, 300], [10, 20]], "no": [[54, 20]]},
    "orderbook_delta": {"price": 54, "delta": -5, "side": "no", "ts": "2025-10-01T20:20:00.5Z"},
    "trade": {"trade_id": "t", "yes_price": 27, "no_price": 73, "count": 7, "taker_side": "yes", "ts": 1759350609},
    "ticker": {"price": 14, "yes_bid": 4, "yes_ask": 95, "volume": 13446, "open_interest": 892, "ts": 1770897976},
}  # fmt: skip
EXACT: dict[str, dict[str, Any]] = {
    "orderbook_snapshot": {
        "yes_dollars_fp": [["0.0800", "300.00"], ["0.1000", "20.00"]], "no_dollars_fp": [["0.5400", "20.00"]],
    },
    "orderbook_delta": {"price_dollars": "0.5400", "delta_fp": "-5.00", "side": "no", "ts_ms": 1759350000500},
    "trade": {
        "trade_id": "t", "yes_price_dollars": "0.2700", "no_price_dollars": "0.7300", "count_fp": "7.00",
        "taker_side": "yes", "ts": 1759350609,
    },
    "ticker": {
        "price_dollars": "0.1400", "yes_bid_dollars": "0.0400", "yes_ask_dollars": "0.9500",
        "volume_fp": "13446.00", "open_interest_fp": "892.00", "ts": 1770897976,
    },
}  # fmt: skip
WIRES = {"kalshi-cents": [CENTS], "kalshi-both": [CENTS, EXACT], "kalshi-fp": [EXACT]}


def body(mapper: str, kind: str) -> dict[str, Any]:
    merged: dict[str, Any] = {"market_ticker": "A"}
    for form in WIRES[mapper]:
        merged |= form[kind]
    return merged


def read(payload: bytes, *, at_ns: int, mapper: str | None = None) -> tuple[list[Any], tuple[Issue, ...]]:
    """The events and issues, but for the time: one frame is read on every wire's day."""
    normalizer = Normalizer("s", mapper=mapper)
    events = list(normalizer.apply(Record(1, at_ns, 1, Kind.TEXT, payload)))
    return events, tuple(one for one in normalizer.issues if one.kind is not IssueKind.TIME_SKEW)


def what_it_says(event: MarketEvent) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__ if name != "origin"}


@pytest.mark.parametrize("kind", list(CENTS))
def test_every_wire_says_the_same_on_its_own_day(kind: str) -> None:
    said = []
    for mapper, at_ns in DAYS.items():
        events, issues = read(frame(kind, msg=body(mapper, kind)), at_ns=at_ns)
        assert issues == ()
        said.append([what_it_says(event) for event in events])

    assert said[0] == said[1] == said[2] != []


def test_cents_are_exact() -> None:
    [book, _], _ = read(
        frame("orderbook_snapshot", msg=body("kalshi-cents", "orderbook_snapshot")), at_ns=OCTOBER_2025
    )
    [change], _ = read(
        frame("orderbook_delta", msg=body("kalshi-cents", "orderbook_delta")), at_ns=OCTOBER_2025
    )
    [trade], _ = read(frame("trade", msg=body("kalshi-cents", "trade")), at_ns=OCTOBER_2025)

    assert isinstance(book, BookSnapshot)
    assert (book.bids, book.asks) == ((Level(1000, 2000), Level(800, 30000)), (Level(4600, 2000),))
    assert isinstance(change, BookDelta)
    assert (change.side, change.price_e4, change.delta_e2) == (BookSide.ASK, 4600, -500)
    assert change.venue_ns == 1759350000_500000000
    assert isinstance(trade, Trade)
    assert (trade.price_e4, trade.size_e2, trade.venue_ns) == (2700, 700, 1759350609_000000000)


def test_a_summary_of_before_there_were_sizes_has_none() -> None:
    [event], _ = read(
        frame("ticker", msg={**body("kalshi-cents", "ticker"), "yes_ask": 100}), at_ns=OCTOBER_2025
    )

    assert isinstance(event, Ticker)
    assert (event.bid_size_e2, event.ask_size_e2, event.last_size_e2) == (None, None, None)
    assert (event.ask_e4, event.volume_e2) == (None, 1344600)


def test_the_exact_form_is_read_where_both_are_there() -> None:
    said = {**body("kalshi-both", "orderbook_delta"), "price_dollars": "0.5450", "delta_fp": "-5.25"}

    [event], _ = read(frame("orderbook_delta", msg=said), at_ns=FEBRUARY_2026)

    assert isinstance(event, BookDelta)
    assert (event.price_e4, event.delta_e2) == (4550, -525)


def test_dollars_with_whole_contracts_are_read() -> None:
    said = {"market_ticker": "A", "yes_dollars": [["0.080", 300]], "no_dollars": [["0.54", 20]]}

    [event, _], _ = read(frame("orderbook_snapshot", msg=said), at_ns=OCTOBER_2025)

    assert isinstance(event, BookSnapshot)
    assert (event.bids, event.asks) == ((Level(800, 30000),), (Level(4600, 2000),))


@pytest.mark.parametrize("kind", list(CENTS))
@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ("kalshi-cents", "kalshi-fp"),
        ("kalshi-fp", "kalshi-cents"),
        ("kalshi-cents", "kalshi-both"),
        ("kalshi-fp", "kalshi-both"),
    ],
)
def test_another_wire_than_the_days_is_read_and_told(kind: str, shown: str, expected: str) -> None:
    payload = frame(kind, msg=body(shown, kind))
    plain, _ = read(payload, at_ns=DAYS[shown])

    events, issues = read(payload, at_ns=DAYS[expected])

    assert [what_it_says(event) for event in events] == [what_it_says(event) for event in plain]
    assert {issue.kind for issue in issues} == {IssueKind.WIRE_DRIFT}
    assert all(f"expected {expected}" in issue.sample and not issue.is_lost for issue in issues)


@pytest.mark.parametrize("kind", list(CENTS))
def test_both_forms_are_no_drift_on_a_day_of_one(kind: str) -> None:
    for day in ("kalshi-cents", "kalshi-fp"):
        assert read(frame(kind, msg=body("kalshi-both", kind)), at_ns=DAYS[day])[1] == ()


def test_a_named_mapper_beats_the_date() -> None:
    payload = frame("trade", msg=body("kalshi-cents", "trade"))

    assert read(payload, at_ns=AUGUST_2026, mapper="kalshi-cents")[1] == ()
    assert read(payload, at_ns=OCTOBER_2025, mapper="kalshi-fp")[1] != ()


def test_a_session_over_the_change_is_read_by_two_mappers() -> None:
    normalizer = Normalizer("s")
    change = 1_773_273_600 * _S  # 2026-03-12
    said = [{**body(mapper, "trade"), "ts": None} for mapper in ("kalshi-both", "kalshi-fp")]
    both, exact = (frame("trade", msg=one) for one in said)

    normalizer.apply(Record(1, change - 1, 1, Kind.TEXT, both))
    before = normalizer.issues
    normalizer.apply(Record(2, change, 1, Kind.TEXT, exact))

    assert (before, normalizer.issues, normalizer.mappers) == ((), (), ["kalshi-both", "kalshi-fp"])


def test_a_combinations_lifecycle_is_read_like_any_other() -> None:
    payload = lifecycle("KXMVE-1", "settled", 1).replace(
        b"market_lifecycle_v2", b"multivariate_market_lifecycle"
    )

    [event], issues = read(payload, at_ns=AUGUST_2026)

    assert isinstance(event, MarketStatus)
    assert (event.status, issues) == (Status.SETTLED, ())


def test_what_has_no_field_of_ours_is_carried_in_the_details() -> None:
    said = {"market_ticker": "A", "event_type": "metadata_updated", "floor_strike": 79800.71, "x": [1]}

    [event], _ = read(frame("market_lifecycle_v2", msg=said), at_ns=AUGUST_2026)

    assert isinstance(event, MarketStatus)
    assert json.loads(event.details) == said
    assert "79800.71" in event.details

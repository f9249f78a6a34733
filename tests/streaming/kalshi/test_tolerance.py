"""One field that is not as it should be costs that field, not the frame; what costs the frame is told by name."""

from typing import Any

import pytest

from streaming import marks
from streaming.events import BookDelta, BookSnapshot, MarketEvent, MarketStatus, Ticker, Trade
from streaming.issues import Issue, IssueKind
from streaming.kalshi.normalizer import Normalizer
from streaming.kalshi.tolerant import MOST_DETAILS
from streaming.records import Kind
from tests.streaming.kalshi.frames import START_NS, delta, frame, lifecycle, record, snapshot, trade

TICKER: dict[str, Any] = {
    "market_ticker": "A", "market_id": "m", "price_dollars": "0.9990", "yes_bid_dollars": "0.1000",
    "yes_ask_dollars": "0.2000", "yes_bid_size_fp": "1.00", "yes_ask_size_fp": "2.00",
    "last_trade_size_fp": "0.11", "volume_fp": "3.48", "open_interest_fp": "6.14", "ts_ms": 1786401938544,
}  # fmt: skip


def read(payload: bytes) -> tuple[list[Any], tuple[Issue, ...]]:
    normalizer = Normalizer("s")
    return list(normalizer.apply(record(payload))), normalizer.issues


NONSENSE: tuple[Any, ...] = ("x", -1, {})
SPOILED: list[tuple[bytes, str]] = [
    (trade("A", 1, ts_ms="soon"), "ts_ms"),
    (trade("A", 1, is_block_trade="no"), "is_block_trade"),
    (trade("A", 1, no_price_dollars=0.46), "no_price_dollars"),
    (trade("A", 1, taker_side="yes", taker_outcome_side=7), "taker_outcome_side"),
    (trade("A", 1, no_price_dollars="NaN"), "no_price_dollars"),
    (frame("orderbook_delta", seq=1, msg={"market_ticker": "A", "price_dollars": "0.4", "delta_fp": "1", "side": "no", "market_id": 5}), "market_id"),
    (lifecycle("A", "created", open_ts=-5, close_ts=9), "open_ts"),
    (lifecycle("A", "created", open_ts=5, close_ts=10**12), "close_ts"),
    (lifecycle("A", "determined", result=["yes"]), "result"),
    (lifecycle("A", "determined", settlement_value="new"), "settlement_value"),
    (frame("ticker", msg={**TICKER, "ts_ms": None, "time": "9999-12-31T23:59:59Z"}), "ts"),
    (frame("ticker", msg={**TICKER, "ts_ms": None, "time": "1969-12-31T23:59:59Z"}), "ts"),
    (frame("trade", seq=1, sending_ts_ms="x", msg={"trade_id": "t", "market_ticker": "A", "yes_price_dollars": "0.4", "count_fp": "1", "taker_side": "no"}), "sending_ts_ms"),
    *((frame("ticker", msg={**TICKER, name: spoiled}), name) for name in TICKER for spoiled in NONSENSE if name not in ("market_ticker", "market_id")),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "field"), SPOILED, ids=range(len(SPOILED)))
def test_a_spoiled_field_is_left_out_and_named(payload: bytes, field: str) -> None:
    [event], issues = read(payload)

    assert isinstance(event, MarketEvent)
    assert [issue.kind for issue in issues] == [IssueKind.PARSE_ERROR]
    assert field in issues[0].sample
    assert (issues[0].n, issues[0].ticker, issues[0].is_lost) == (1, "A", False)


@pytest.mark.parametrize("ts_ms", [0, 10**13, START_NS // 10**6 - 3_700_000, START_NS // 10**6 + 3_700_000])
def test_a_time_that_is_more_than_an_hour_off_is_told_and_kept(ts_ms: int) -> None:
    for payload in (trade("A", 1, ts_ms=ts_ms), frame("ticker", msg={**TICKER, "ts_ms": ts_ms})):
        [event], issues = read(payload)

        assert event.venue_ns == ts_ms * 1_000_000
        assert [issue.kind for issue in issues] == [IssueKind.TIME_SKEW]


def test_a_frame_that_comes_seconds_late_is_no_skew() -> None:
    late = START_NS // 10**6 - 60_000

    assert read(trade("A", 1, ts_ms=late))[1] == ()


def test_what_stands_beside_a_spoiled_field_is_kept() -> None:
    [event], _ = read(frame("ticker", msg={**TICKER, "volume_fp": "-1.00", "yes_bid_dollars": "7.0000"}))

    assert isinstance(event, Ticker)
    assert (event.volume_e2, event.bid_e4) == (None, None)
    assert (event.last_e4, event.ask_e4, event.ask_size_e2, event.open_interest_e2) == (9990, 2000, 200, 614)


MISSING: list[tuple[bytes, str]] = [
    (frame("trade", msg={"market_ticker": "A", "yes_price_dollars": "0.4", "count_fp": "1"}), "trade_id"),
    (trade("A", 1, yes_price_dollars=None, no_price_dollars=None), "yes_price_dollars"),
    (trade("A", 1, count_fp=None), "count_fp"),
    (trade("A", 1, taker_outcome_side=""), "taker_outcome_side"),
    (frame("orderbook_delta", msg={"market_ticker": "A", "side": "yes", "delta_fp": "1"}), "price_dollars"),
    (frame("orderbook_delta", msg={"market_ticker": "A", "side": "yes", "price_dollars": "0.1"}), "delta_fp"),
    (frame("orderbook_delta", msg={"market_ticker": "A", "price_dollars": "0.1", "delta_fp": "1"}), "side"),
    (frame("orderbook_snapshot", msg={"market_id": "m"}), "market_ticker"),
    (frame("ticker", msg={"price_dollars": "0.1"}), "market_ticker"),
    (frame("market_lifecycle_v2", msg={"market_ticker": "A"}), "event_type"),
]


@pytest.mark.parametrize(("payload", "field"), MISSING, ids=range(len(MISSING)))
def test_a_required_field_that_is_missing_is_named(payload: bytes, field: str) -> None:
    events, [issue] = read(payload)

    assert events == []
    assert (issue.kind, issue.is_lost) == (IssueKind.MISSING_FIELD, True)
    assert field in issue.sample


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b"{", IssueKind.PARSE_ERROR),
        (trade("A", 1, yes_price_dollars="1.0001"), IssueKind.OFF_GRID_PRICE),
        (delta("A", 1, price="0.45671"), IssueKind.OFF_GRID_PRICE),
        (snapshot("A", 1, yes=[["0.4", 1]]), IssueKind.PARSE_ERROR),
        (snapshot("A", 1, yes=[["0.4", "-1"]]), IssueKind.PARSE_ERROR),
        (snapshot("A", 1, yes=[["0.4", "1"], ["0.40", "2"]]), IssueKind.PARSE_ERROR),
        (snapshot("A", 1, no=[["0.5000", "1.00"]] * 30_000), IssueKind.PARSE_ERROR),
        (trade("A", 1, count_fp="many"), IssueKind.PARSE_ERROR),
    ],
)
def test_what_costs_the_frame_is_told_by_its_kind(payload: bytes, kind: IssueKind) -> None:
    events, [issue] = read(payload)

    assert (events, issue.kind, issue.is_lost) == ([], kind, True)


CENTS_DELTA = {"market_ticker": "A", "side": "yes", "price": 48, "delta": -40}


@pytest.mark.parametrize(
    "payload",
    [
        frame("orderbook_delta", seq=1, msg={**CENTS_DELTA, "price_dollars": 0.485}),
        frame("orderbook_delta", seq=1, msg={**CENTS_DELTA, "price_dollars": "0.48x"}),
        frame("orderbook_delta", seq=1, msg={**CENTS_DELTA, "delta_fp": -40.5}),
        trade("A", 1, yes_price_dollars=0.545, yes_price=54),
        trade("A", 1, count_fp=9.12, count=9),
    ],
)
def test_a_rounded_number_does_not_take_the_place_of_an_exact_one_that_was_spoiled(payload: bytes) -> None:
    events, [issue] = read(payload)

    assert (events, issue.kind, issue.is_lost) == ([], IssueKind.PARSE_ERROR, True)


def test_a_trade_without_its_yes_price_has_that_of_the_other_side() -> None:
    [event], [issue] = read(trade("A", 1, yes_price_dollars=None))

    assert isinstance(event, Trade)
    assert (event.price_e4, issue.kind) == (5400, IssueKind.WIRE_DRIFT)


def test_prices_that_are_not_a_dollar_together_are_told() -> None:
    assert [issue.kind for issue in read(trade("A", 1, no_price_dollars="0.4500"))[1]] == [
        IssueKind.WIRE_DRIFT
    ]


def test_sides_that_contradict_each_other_are_told() -> None:
    [event], [issue] = read(trade("A", 1, taker_book_side="ask"))

    assert isinstance(event, Trade)
    assert (event.side.value, issue.kind) == ("buy", IssueKind.WIRE_DRIFT)


def test_a_type_that_nobody_knows_is_told() -> None:
    assert [issue.kind for issue in read(frame("brand_new", msg={}))[1]] == [IssueKind.WIRE_DRIFT]
    assert read(frame("fill", msg={})) == ([], ())


@pytest.mark.parametrize("event_type", ["exploded", ""])
def test_a_lifecycle_event_that_nobody_knows_is_told(event_type: str) -> None:
    [event], [issue] = read(lifecycle("A", event_type))

    assert isinstance(event, MarketStatus)
    assert (event.status.value, event.venue_event) == ("unknown", event_type)
    assert (issue.kind, issue.ticker) == (IssueKind.WIRE_DRIFT, "A")
    assert repr(event_type) in issue.sample


def test_a_repeated_frame_is_told() -> None:
    normalizer = Normalizer("s")
    for n in (1, 2):
        normalizer.apply(record(trade("A", n), n))

    assert normalizer.apply(record(trade("A", 2), 3)) == []
    assert [(one.kind, one.n) for one in normalizer.issues] == [(IssueKind.DUPLICATE, 3)]


def test_a_late_frame_is_told_and_is_no_repetition() -> None:
    normalizer = Normalizer("s")
    for n, seq in enumerate((1, 4, 2), 1):
        normalizer.apply(record(trade("A", seq), n))

    assert [(one.kind, one.n, one.ticker) for one in normalizer.issues] == [(IssueKind.OUT_OF_ORDER, 3, "A")]


def test_what_was_odd_in_a_frame_that_gave_no_event_is_not_said_of_the_next() -> None:
    body = {"market_ticker": "A", "side": "yes", "price": 40, "delta_fp": "NaN"}
    normalizer = Normalizer("s")
    normalizer.apply(record(frame("orderbook_delta", seq=1, msg=body), 1))

    normalizer.apply(record(trade("B", 1), 2))

    assert normalizer.issues == ()


def test_issues_are_those_of_the_last_record() -> None:
    normalizer = Normalizer("s")
    normalizer.apply(record(b"{", 1))
    first = normalizer.issues

    normalizer.apply(record(trade("A", 1), 2))

    assert (len(first), normalizer.issues) == (1, ())


def test_a_frame_that_is_passed_over_has_no_issues() -> None:
    normalizer = Normalizer("s")
    normalizer.apply(record(b"{", 1))

    normalizer.pass_over(1, 1, 1, is_of_book=True)

    assert normalizer.issues == ()


def test_an_issue_names_the_market_though_the_frame_cannot_be_read() -> None:
    spoiled = trade("A", 1).replace(b'"yes"', b'"\xff"')

    for payload in (frame("brand_new", seq=1, msg={"market_ticker": "A"}), spoiled):
        assert [issue.ticker for issue in read(payload)[1]] == ["A"]


def test_a_delta_that_cannot_be_read_makes_its_book_unknown() -> None:
    normalizer = Normalizer("s")
    frames = [snapshot("A", 1), snapshot("B", 2), delta("A", 3, change="NaN"), delta("A", 4), delta("B", 5)]
    events = [event for n, one in enumerate(frames, 1) for event in normalizer.apply(record(one, n))]

    sizes = {event.ticker: event.size_e2 for event in events if isinstance(event, BookDelta)}
    assert sizes == {"A": None, "B": 100}


def test_a_delta_of_an_unnamed_market_makes_every_book_unknown() -> None:
    normalizer = Normalizer("s")
    frames = [snapshot("A", 1), frame("orderbook_delta", seq=2, msg={"side": "yes"}), delta("A", 3)]
    events = [event for n, one in enumerate(frames, 1) for event in normalizer.apply(record(one, n))]

    assert [event.size_e2 for event in events if isinstance(event, BookDelta)] == [None]


def test_details_that_are_too_large_are_left_out() -> None:
    [event], [issue] = read(lifecycle("A", "created", additional_metadata={"rules": "x" * MOST_DETAILS}))

    assert isinstance(event, MarketStatus)
    assert (event.details, issue.sample) == ("", "details")


def test_a_snapshot_that_answers_a_command_was_asked_for() -> None:
    for answer, expected in (({"id": 9}, True), ({}, False)):
        [event, _], _ = read(frame("orderbook_snapshot", seq=1, msg={"market_ticker": "A"}, **answer))
        assert isinstance(event, BookSnapshot)
        assert event.is_requested is expected


def test_a_mark_has_no_issues() -> None:
    normalizer = Normalizer("s")
    normalizer.apply(record(b"{", 1))

    normalizer.apply(record(marks.encode(marks.Tick(1)), 2, kind=Kind.MARK))

    assert normalizer.issues == ()

"""A normalizer taken up from its state, or one that passes over others' markets, says what one that reads all says."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streaming import marks
from streaming.events import Event, GapNotice
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind, Record
from tests.streaming.kalshi.frames import (
    delta,
    frame,
    lifecycle,
    record,
    recorded,
    snapshot,
    trade,
)

START = marks.SessionStart("f", "demo", 1, "h", "v2", "wss://x", "0", {"use_yes_price": True})
MARKS: list[marks.Mark] = [
    marks.ConnectionOpen(1),
    marks.GapOpen("sequence_gap", 1, from_ns=5, after_n=4, sid=1),
    marks.GapClose(gap=2, to_ns=9),
    marks.GapClose(gap=3, to_ns=9),
]
# (what comes, market, whether its number is the next one, repeated or one is missing)
steps = st.lists(
    st.tuples(
        st.sampled_from(["delta", "delta", "delta", "snapshot", "trade", "settled", "spoiled", "mark"]),
        st.sampled_from("AB"),
        st.sampled_from([1, 1, 1, 1, 0, 2]),
    ),
    max_size=40,
)


def records(drawn: list[Any]) -> list[Record]:
    numbers = {1: 0, 2: 0, 3: 0}
    found = [record(marks.encode(START), 1, kind=Kind.MARK)]
    for n, (what, ticker, step) in enumerate(drawn, start=2):
        if what == "mark":
            found.append(record(marks.encode(MARKS[n % len(MARKS)]), n, kind=Kind.MARK))
            continue
        sid = {"trade": 2, "settled": 3}.get(what, 1)
        numbers[sid] = max(1, numbers[sid] + step)
        found.append(record(_frame(what, ticker, numbers[sid]), n))
    return found


def _frame(what: str, ticker: str, seq: int) -> bytes:
    match what:
        case "delta":
            return delta(ticker, seq)
        case "snapshot":
            return snapshot(ticker, seq, no=[["0.6000", "5.00"]])
        case "trade":
            return trade(ticker, seq)
        case "settled":
            return lifecycle(ticker, "settled", seq)
    return frame("orderbook_delta", seq=seq, msg={"market_ticker": ticker})


def said(normalizer: Normalizer, each: list[Record]) -> list[Any]:
    return [(normalizer.apply(one), normalizer.issues) for one in each]


@given(steps, st.data())
def test_one_taken_up_from_its_state_goes_on_the_same(drawn: list[Any], data: st.DataObject) -> None:
    each = records(drawn)
    cut = data.draw(st.integers(0, len(each)))
    first = Normalizer("s")
    said(first, each[:cut])

    again = Normalizer.resumed(first.state())

    assert said(again, each[cut:]) == said(Normalizer("s"), each)[cut:]


@given(steps)
def test_what_one_of_two_reads_is_what_one_alone_reads(drawn: list[Any]) -> None:
    each = records(drawn)
    alone = [event for events, _ in said(Normalizer("s"), each) for event in events]

    for ticker in "AB":
        normalizer, found = Normalizer("s"), list[Event]()
        for one, (what, of, _) in zip(each, [("mark", "", 0), *drawn], strict=True):
            if what == "mark" or of == ticker:
                found += normalizer.apply(one)
            else:
                _pass_over(normalizer, one, is_of_book=what in ("delta", "snapshot", "spoiled"))
        assert _of(ticker, found) == _of(ticker, alone)


def _pass_over(normalizer: Normalizer, one: Record, *, is_of_book: bool) -> None:
    outer = json.loads(one.payload)
    normalizer.pass_over(one.connection, outer["sid"], outer["seq"], is_of_book=is_of_book)


def _of(ticker: str, events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, GapNotice) or event.ticker == ticker]


def test_a_recorded_connection_may_be_cut_anywhere(recordings: Path) -> None:
    payloads = recorded(recordings / "cockpit/ws_orderbook_stream.jsonl")
    each = [record(payload, n) for n, payload in enumerate(payloads, start=1)]
    expected = said(Normalizer("s"), each)

    for cut in range(0, len(each), 40):
        first = Normalizer("s")
        said(first, each[:cut])
        assert said(Normalizer.resumed(first.state()), each[cut:]) == expected[cut:]

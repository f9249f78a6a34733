from pathlib import Path

import msgspec
import pytest

from streaming import marks, wire
from streaming.events import BookDelta, BookSnapshot, Event, GapNotice, MarketStatus, Status, Trade
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind, Record
from streaming.subjects import token_of
from tests.streaming.kalshi.frames import delta, frame, lifecycle, record, recorded, snapshot, trade

COCKPIT = "cockpit/ws_orderbook_stream.jsonl"


def mark(one: marks.Mark, n: int = 1) -> Record:
    return record(marks.encode(one), n, kind=Kind.MARK)


def start(*, use_yes_price: bool = False) -> marks.SessionStart:
    return marks.SessionStart("f", "demo", 1, "h", "v2", "wss://x", "0", {"use_yes_price": use_yes_price})


def normalized(*payloads: bytes | marks.Mark) -> list[Event]:
    normalizer = Normalizer("s")
    records = [
        record(one, n) if isinstance(one, bytes) else mark(one, n) for n, one in enumerate(payloads, start=1)
    ]
    return [event for one in records for event in normalizer.apply(one)]


def sizes(events: list[Event]) -> list[int | None]:
    return [event.size_e2 for event in events if isinstance(event, BookDelta)]


def test_a_delta_after_its_snapshot_knows_what_rests() -> None:
    events = normalized(snapshot("A", 1, yes=[["0.4000", "2.00"]]), delta("A", 2, change="-0.50"))

    assert sizes(events) == [150]


def test_a_skipped_number_of_books_makes_them_unknown_until_a_snapshot() -> None:
    events = normalized(snapshot("A", 1), delta("A", 2), delta("A", 4), snapshot("A", 5), delta("A", 6))

    assert sizes(events) == [100, None, 100]


def test_a_skipped_number_of_trades_leaves_the_books_known() -> None:
    events = normalized(snapshot("A", 1), trade("A", 1), trade("A", 9), delta("A", 2))

    assert sizes(events) == [100]


def test_control_frames_count_too() -> None:
    answer = frame("ok", sid=1, seq=2, id=5, msg={"market_tickers": ["A"]})
    refusal = frame("error", sid=1, seq=3, msg={"code": 7})
    gone = frame("unsubscribed", sid=1, seq=4)

    assert sizes(normalized(snapshot("A", 1), answer, refusal, gone, delta("A", 5))) == [100]


def test_a_repeated_frame_makes_no_second_event() -> None:
    events = normalized(snapshot("A", 1), delta("A", 2), delta("A", 2), delta("A", 3))

    assert sizes(events) == [100, 200]


@pytest.mark.parametrize("odd", [1000, 2**62])
def test_after_one_odd_number_nothing_of_the_subscription_is_thrown_away(odd: int) -> None:
    trades = normalized(trade("A", 1), trade("A", odd), *(trade("A", n) for n in range(2, 40)))
    books = normalized(
        snapshot("A", 1),
        delta("A", odd),
        *(delta("A", n) for n in range(2, 5)),
        snapshot("A", 5),
        delta("A", 6),
    )

    assert len(trades) == 40
    assert sizes(books) == [None, None, 100]


def test_a_late_trade_is_an_event_and_a_late_delta_is_not() -> None:
    trades = normalized(trade("A", 1), trade("A", 3), trade("A", 2), trade("A", 4))
    books = normalized(snapshot("A", 1), delta("A", 3), snapshot("A", 4), delta("A", 2), delta("A", 5))

    assert [event.origin.seq for event in trades if isinstance(event, Trade)] == [1, 3, 2, 4]
    assert sizes(books) == [None, 100]


def test_a_new_connection_knows_no_book_and_counts_anew() -> None:
    events = normalized(
        snapshot("A", 1),
        marks.ConnectionClose(1, 1006, ""),
        marks.ConnectionOpen(2),
        delta("A", 1),
        snapshot("A", 2),
        delta("A", 3),
    )

    assert sizes(events) == [None, 100]


def test_the_start_mark_rules_how_prices_are_read() -> None:
    for asked, price in ((False, 5200), (True, 4800)):
        events = normalized(start(use_yes_price=asked), snapshot("A", 1, no=[["0.4800", "1.00"]]))
        books = [event for event in events if isinstance(event, BookSnapshot)]
        assert [one.asks[0].price_e4 for one in books] == [price, price]


def test_a_market_turned_by_the_clock_has_its_status_event() -> None:
    opened, closed = normalized(marks.MarketOpened("A", 5), marks.MarketClosed("A", 9))

    assert isinstance(opened, MarketStatus)
    assert isinstance(closed, MarketStatus)
    assert (opened.status, opened.venue_ns, opened.by_clock) == (Status.OPEN, 5, True)
    assert (closed.status, closed.venue_ns, closed.origin.identity) == (Status.CLOSED, 9, "s.2.0")


def test_a_gap_is_told_when_it_opens_and_when_it_closes() -> None:
    opened = marks.GapOpen("sequence_gap", 1, from_ns=5, after_n=4, sid=2, tickers=["A"])
    first, second = normalized(opened, marks.GapClose(gap=1, to_ns=8))

    assert isinstance(first, GapNotice)
    assert isinstance(second, GapNotice)
    assert (first.number, first.tickers, first.to_ns) == (1, ("A",), None)
    assert (second.number, second.tickers, second.to_ns) == (1, ("A",), 8)


def test_the_end_of_an_unknown_gap_is_no_event() -> None:
    assert normalized(marks.GapClose(gap=7, to_ns=8)) == []


def test_nothing_is_kept_of_a_settled_market() -> None:
    normalizer = Normalizer("s")
    normalizer.apply(record(snapshot("A", 1), 1))

    normalizer.apply(record(lifecycle("A", "settled"), 2))

    assert normalizer.fold.tickers == []


UNREADABLE = [
    b"", b"\n", b"[]", b"null", b"5", b"{", b"{}", b'{"type":1}', b'{"type":"trade"}', b"\xff\xfe", b"\xef\xbb\xbf{}",
    b'{"type":"trade","sid":-1,"msg":{}}', b'{"type":"trade","seq":36893488147419103232}', b'{"type":"\xff"}',
    b'{"type":"trade","sid":NaN}', b'{"type":"trade","sid":1e999}', b'{"type":"\\ud800"}', b"\0" * 50,
    b"[" * 100_000 + b"]" * 100_000, b'{"type":"trade","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"type":"trade","sid":' + b"9" * 5000 + b"}", trade("A" * 5000, 1), trade("A", 1, count_fp="-1"),
]  # fmt: skip


@pytest.mark.parametrize("payload", UNREADABLE, ids=range(len(UNREADABLE)))
def test_a_frame_that_cannot_be_read_is_counted_and_ends_nothing(payload: bytes) -> None:
    normalizer = Normalizer("s")

    assert normalizer.apply(record(payload)) == []
    assert normalizer.unmappable == 1
    assert normalizer.apply(record(trade("A", 2), 2))


def test_an_unknown_type_is_no_event_and_no_fault() -> None:
    normalizer = Normalizer("s")

    assert normalizer.apply(record(frame("brand_new", seq=1, msg={"x": 1}))) == []
    assert (normalizer.unmappable, normalizer.frame_type) == (0, "brand_new")


@pytest.fixture
def complete_connection(recordings: Path) -> list[Record]:
    """Twelve markets on one connection, acknowledgements included, no number missing."""
    return [record(payload, n) for n, payload in enumerate(recorded(recordings / COCKPIT), start=1)]


def test_the_same_records_give_the_same_events(complete_connection: list[Record]) -> None:
    one, other = Normalizer("s"), Normalizer("s")

    for each in complete_connection:
        assert one.apply(each) == other.apply(each)


def test_identities_are_unique_and_rise_with_n(complete_connection: list[Record]) -> None:
    normalizer = Normalizer("s")
    events = [event for each in complete_connection for event in normalizer.apply(each)]

    places = [(event.origin.n, event.origin.k) for event in events if not isinstance(event, GapNotice)]
    assert places == sorted(set(places))
    assert len(places) == len(events) > 250


def test_every_recorded_delta_finds_its_book_known(complete_connection: list[Record]) -> None:
    normalizer = Normalizer("s")
    events = [event for each in complete_connection for event in normalizer.apply(each)]

    assert normalizer.unmappable == 0
    assert len(sizes(events)) == 245
    assert None not in sizes(events)
    assert all(wire.decode(token_of(event), wire.encode(event)) == event for event in events)


def test_trades_keep_their_frames_place() -> None:
    [event] = normalized(trade("A", 1))

    assert isinstance(event, Trade)
    assert event.origin.identity == "s.1.0"


def test_a_clock_that_was_set_is_an_issue_and_an_unknown_mark_ends_nobody() -> None:
    reader = Normalizer("s")
    step = marks.encode(marks.ClockStep(step_ns=-5, ahead_ns=5))

    assert reader.apply(Record(1, 1, 0, Kind.MARK, step)) == []
    assert [issue.kind.value for issue in reader.issues] == ["clock_step"]
    assert reader.apply(Record(2, 2, 0, Kind.MARK, b'{"mark":"of a later version"}')) == []
    assert [issue.kind.value for issue in reader.issues] == ["wire_drift"]


# -- several connections -----------------------------------------------------------------------------


def on(connection: int, *payloads: bytes) -> list[tuple[int, bytes]]:
    return [(connection, payload) for payload in payloads]


def of_lines(*told: list[tuple[int, bytes]] | marks.Mark) -> list[Event]:
    normalizer, found, n = Normalizer("s"), list[Event](), 0
    for one in told:
        frames = one if isinstance(one, list) else [(0, one)]
        for connection, payload in frames:
            n += 1
            is_frame = isinstance(payload, bytes)
            event = record(payload, n, connection=connection) if is_frame else mark(payload, n)  # type: ignore[arg-type]
            found += normalizer.apply(event)
    return found


LINES = (marks.ConnectionOpen(1, 1, ["orderbook"]), marks.ConnectionOpen(2, 2, ["orderbook"]))


def test_each_connection_counts_for_itself() -> None:
    events = of_lines(
        *LINES,
        on(1, snapshot("A", 1)),
        on(2, snapshot("B", 1)),
        on(1, delta("A", 2)),
        on(2, delta("B", 2)),
    )

    assert sizes(events) == [100, 100]


def test_what_one_connection_lost_leaves_the_books_of_another_known() -> None:
    events = of_lines(
        *LINES,
        on(1, snapshot("A", 1)),
        on(2, snapshot("B", 1)),
        on(1, delta("A", 9)),
        on(2, delta("B", 2)),
    )

    assert sizes(events) == [None, 100]


@pytest.mark.parametrize("over", [marks.ConnectionClose(1, 1006, ""), marks.ConnectionOpen(3, 1)])
def test_a_connection_that_is_over_takes_its_books_with_it(over: marks.Mark) -> None:
    both = [*on(1, snapshot("A", 1)), *on(2, snapshot("B", 1))]

    events = of_lines(*LINES, both, over, on(3, delta("A", 1)), on(2, delta("B", 2)))

    assert sizes(events) == [None, 100]


def test_a_delta_of_another_connection_than_its_books_is_not_applied() -> None:
    events = of_lines(
        *LINES, on(1, snapshot("A", 1)), on(2, delta("A", 1)), on(2, snapshot("A", 2), delta("A", 3))
    )

    assert sizes(events) == [None, 100]


def test_a_connector_of_several_tells_the_states_of_its_own_markets_only() -> None:
    shard = msgspec.structs.replace(start(), shard="3/3")

    events = normalized(shard, lifecycle("A", "created", 1), lifecycle("B", "created", 2))

    assert [event.ticker for event in events if isinstance(event, MarketStatus)] == ["A"]

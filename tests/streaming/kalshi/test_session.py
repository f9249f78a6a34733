import json
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi.findings import (
    BookFound,
    BooksHealed,
    BooksMissing,
    Finding,
    MarketNews,
    Ready,
    SequenceGap,
)
from streaming.kalshi.sequence import Skipped
from streaming.kalshi.session import (
    ANSWER_WITHIN_NS,
    CHUNK,
    FIREHOSES,
    SNAPSHOT_WITHIN_NS,
    TRIES,
    KalshiSession,
    ProtocolError,
)
from tests.streaming.kalshi.frames import delta, frame, lifecycle, recorded, snapshot, trade

BOOKS = "orderbook_delta"
BOOKS_SID = 4


class Talk:
    """A session and the venue's side of it, in a script's words."""

    def __init__(self, **options: Any) -> None:
        self.session = KalshiSession(**options)
        self.n = 0
        self.now_ns = 0
        self.findings: list[Finding] = []
        self.commands: list[dict[str, Any]] = []

    def start(self, *wanted: str) -> "Talk":
        self.session.start(now_ns=self.now_ns)
        if wanted:
            self.session.want(wanted, now_ns=self.now_ns)
        self.drain()
        return self

    def hear(self, *payloads: bytes) -> list[Finding]:
        found: list[Finding] = []
        for payload in payloads:
            self.n += 1
            found += self.session.receive(payload, n=self.n, received_ns=self.now_ns)
        self.findings += found
        self.drain()
        return found

    def wait(self, ns: int) -> list[Finding]:
        self.now_ns += ns
        found = self.session.on_time(self.now_ns)
        self.drain()
        return found

    def want(self, *tickers: str, is_complete: bool = True) -> None:
        self.session.want(tickers, now_ns=self.now_ns, is_complete=is_complete)
        self.drain()

    def drain(self) -> None:
        self.commands += [json.loads(command) for command in self.session.commands_to_send()]

    def last(self, action: str) -> dict[str, Any]:
        return [one for one in self.commands if _action(one) == action][-1]

    def acknowledge(self, *, order: int = 1) -> None:
        """Answer every subscription of the firehoses and of the books as the venue does."""
        asked = [one for one in self.commands if one["cmd"] == "subscribe"]
        for command in asked[::order]:
            [channel] = command["params"]["channels"]
            sid = (*FIREHOSES, BOOKS).index(channel) + 1
            self.hear(frame("subscribed", sid=None, id=command["id"], msg={"channel": channel, "sid": sid}))


def _action(command: dict[str, Any]) -> str:
    return str(command["params"].get("action", command["cmd"]))


def book(ticker: str, seq: int) -> bytes:
    return snapshot(ticker, seq, sid=BOOKS_SID)


def refusal(command_id: int, code: int, **outer: Any) -> bytes:
    return frame("error", sid=None, id=command_id, msg={"code": code, "msg": "no"}, **outer)


def ready(*tickers: str) -> Talk:
    """A conversation in which these books are followed."""
    talk = Talk().start(*tickers)
    talk.acknowledge()
    talk.hear(*(book(ticker, seq) for seq, ticker in enumerate(tickers, start=1)))
    assert talk.findings == [Ready(len(tickers))]
    return talk


@pytest.mark.parametrize("order", [1, -1])
def test_acknowledgements_may_come_in_any_order(order: int) -> None:
    talk = Talk().start("A", "B")

    talk.acknowledge(order=order)
    talk.hear(book("B", 1), book("A", 2))

    assert talk.findings == [Ready(2)]


def test_use_yes_price_is_always_said_for_books_and_only_there() -> None:
    for asked in (False, True):
        talk = Talk(use_yes_price=asked).start("A")
        params = {one["params"]["channels"][0]: one["params"] for one in talk.commands}
        assert params[BOOKS]["use_yes_price"] is asked
        assert all("use_yes_price" not in params[channel] for channel in FIREHOSES)
        assert all("market_tickers" not in params[channel] for channel in FIREHOSES)


def test_without_markets_the_conversation_is_ready_once_they_are_listed() -> None:
    talk = Talk().start()
    talk.acknowledge()
    assert talk.findings == []

    talk.want()

    assert talk.wait(0) == [Ready(0)]


def test_books_that_are_known_before_the_listing_do_not_make_it_ready() -> None:
    talk = Talk().start()
    talk.want("A", is_complete=False)
    talk.acknowledge()
    talk.hear(book("A", 1))
    assert talk.findings == []

    talk.want("A")
    talk.want("A", is_complete=False)

    assert talk.wait(0) == [Ready(1)]


def test_many_markets_are_asked_for_in_chunks_one_at_a_time() -> None:
    names = [f"M{number:03d}" for number in range(2 * CHUNK + 5)]
    talk = Talk().start(*names)
    talk.acknowledge()

    added = [one for one in talk.commands if _action(one) == "add_markets"]
    assert [len(one["params"]["market_tickers"]) for one in added] == [CHUNK]
    talk.hear(frame("ok", sid=BOOKS_SID, seq=1, id=added[0]["id"], msg={"market_tickers": names[:200]}))

    asked = [one["params"].get("market_tickers", []) for one in talk.commands]
    assert sorted(name for chunk in asked for name in chunk) == names
    assert talk.last("add_markets")["params"]["sid"] == BOOKS_SID


def test_a_repeated_subscribe_is_answered_by_ok_that_alone_names_the_sid() -> None:
    talk = Talk().start("A")
    talk.wait(ANSWER_WITHIN_NS + 1)

    talk.hear(frame("ok", sid=9, seq=1, id=talk.commands[-1]["id"], msg={"market_tickers": ["A"]}))

    assert talk.session.books_sid == 9


def test_a_lost_acknowledgement_is_made_up_for_by_the_first_snapshot() -> None:
    talk = Talk().start("A")

    talk.hear(book("A", 1))

    assert talk.session.books_sid == BOOKS_SID


def test_a_command_without_answer_is_repeated_and_then_given_up() -> None:
    talk = Talk().start()
    for _ in range(TRIES - 1):
        talk.wait(ANSWER_WITHIN_NS + 1)
    assert len(talk.commands) == TRIES * len(FIREHOSES)

    with pytest.raises(ProtocolError, match="was not answered 3 times"):
        talk.wait(ANSWER_WITHIN_NS + 1)


def test_every_frame_with_a_number_counts() -> None:
    talk = ready("A")

    found = talk.hear(
        frame("ok", sid=BOOKS_SID, seq=2, id=77, msg={"market_tickers": ["A"]}),
        frame("error", sid=BOOKS_SID, seq=3, msg={"code": 7}),
        frame("unsubscribed", sid=BOOKS_SID, seq=4),
        frame("brand_new", sid=BOOKS_SID, seq=5, msg=5),
        delta("A", 6, sid=BOOKS_SID),
    )

    assert found == []


def test_a_gap_of_books_asks_for_all_of_them_at_once() -> None:
    talk = ready("A", "B")
    talk.now_ns = 50

    found = talk.hear(delta("A", 5, sid=BOOKS_SID))

    gap = SequenceGap(Skipped(BOOKS_SID, 3, 5), BOOKS, ("A", "B"), after_n=talk.n - 1, after_ns=0)
    assert found == [gap]
    assert talk.last("get_snapshot")["params"] == {
        "sid": BOOKS_SID, "market_tickers": ["A", "B"], "action": "get_snapshot",
    }  # fmt: skip


def test_a_gap_is_healed_by_the_last_snapshot() -> None:
    talk = ready("A", "B")
    talk.hear(delta("A", 5, sid=BOOKS_SID))

    assert talk.hear(book("A", 6)) == []
    assert talk.hear(book("B", 7)) == [BooksHealed(BOOKS_SID)]


def test_a_snapshot_from_before_the_gap_heals_nothing() -> None:
    talk = ready("A")
    talk.hear(delta("A", 9, sid=BOOKS_SID))

    assert talk.hear(book("A", 5)) == []
    assert talk.hear(book("A", 10)) == [BooksHealed(BOOKS_SID)]


def test_a_gap_at_a_snapshot_spares_its_own_market() -> None:
    talk = ready("A")

    found = talk.hear(book("A", 5))

    assert [type(one) for one in found] == [SequenceGap, BooksHealed]


def test_a_gap_of_trades_touches_no_book() -> None:
    talk = ready("A")
    talk.hear(trade("A", 1, sid=3))
    count = len(talk.commands)

    [gap] = talk.hear(trade("A", 4, sid=3))

    assert isinstance(gap, SequenceGap)
    assert (gap.tickers, gap.channel, gap.skipped) == (None, "trade", Skipped(3, 2, 4))
    assert len(talk.commands) == count


def test_a_count_that_begins_again_is_a_gap() -> None:
    talk = ready("A")

    [gap] = talk.hear(delta("A", 1, sid=BOOKS_SID))

    assert isinstance(gap, SequenceGap)


def test_a_duplicate_is_nothing() -> None:
    talk = ready("A")
    talk.hear(delta("A", 2, sid=BOOKS_SID))

    assert talk.hear(delta("A", 2, sid=BOOKS_SID), delta("A", 3, sid=BOOKS_SID)) == []


def test_a_snapshot_that_never_comes_is_asked_for_and_then_missing() -> None:
    talk = Talk().start("A", "B")
    talk.acknowledge()
    talk.hear(book("A", 1))
    found: list[Finding] = []
    for _ in range(TRIES + 1):
        found += talk.wait(SNAPSHOT_WITHIN_NS + 1)

    assert found == [BooksMissing(("B",)), Ready(2)]
    assert talk.hear(book("B", 2)) == [BookFound("B")]
    assert [one["params"]["market_tickers"] for one in talk.commands if _action(one) == "get_snapshot"] == [
        ["B"]
    ] * TRIES


def test_the_others_do_not_wait_for_a_missing_book() -> None:
    talk = Talk().start("A", "B")
    talk.acknowledge()
    talk.hear(book("A", 1))

    assert talk.wait(SNAPSHOT_WITHIN_NS + 1) == [BooksMissing(("B",)), Ready(2)]


def test_a_skip_that_touches_no_book_waits_for_none() -> None:
    talk = ready("A")
    talk.want()
    gone = talk.last("delete_markets")
    count = len(talk.commands)

    [gap] = talk.hear(frame("ok", sid=BOOKS_SID, seq=5, id=gone["id"], msg={"market_tickers": []}))

    assert isinstance(gap, SequenceGap)
    assert (gap.tickers, len(talk.commands)) == ((), count)


def test_a_missing_book_may_still_be_found() -> None:
    talk = Talk().start("A")
    talk.acknowledge()
    for _ in range(TRIES + 1):
        talk.wait(SNAPSHOT_WITHIN_NS + 1)

    assert talk.hear(book("A", 1)) == [BookFound("A")]


def test_a_missing_book_that_is_no_longer_wanted_is_missed_no_more() -> None:
    talk = Talk().start("A")
    talk.acknowledge()
    for _ in range(TRIES + 1):
        talk.wait(SNAPSHOT_WITHIN_NS + 1)

    talk.want()

    assert talk.wait(0) == [BookFound("A")]


def test_markets_come_and_go_by_add_and_delete() -> None:
    talk = ready("A")

    talk.want("B")
    added = talk.last("add_markets")
    talk.hear(frame("ok", sid=BOOKS_SID, seq=2, id=added["id"], msg={"market_tickers": ["A", "B"]}))

    assert added["params"]["market_tickers"] == ["B"]
    assert talk.last("delete_markets")["params"]["market_tickers"] == ["A"]


@pytest.mark.parametrize(("code", "cause"), [(10, "connection_lost"), (25, "venue_overflow")])
def test_a_dead_subscription_ends_the_connection(code: int, cause: str) -> None:
    talk = ready("A")

    with pytest.raises(ProtocolError) as ended:
        talk.hear(frame("error", sid=BOOKS_SID, seq=2, msg={"code": code, "msg": "gone"}))

    assert ended.value.cause == cause


def test_one_refused_market_does_not_keep_the_others_out() -> None:
    talk = Talk().start("A", "B", "C")
    for sid, command in enumerate(talk.commands[:3], start=1):
        channel = command["params"]["channels"][0]
        talk.hear(frame("subscribed", sid=None, id=command["id"], msg={"channel": channel, "sid": sid}))
    seq = 0
    answered = set()
    while open_ones := [one for one in talk.commands[3:] if one["id"] not in answered]:
        command = open_ones[0]
        answered.add(command["id"])
        names = command["params"]["market_tickers"]
        if "B" in names:
            talk.hear(refusal(command["id"], 16))
            continue
        message = {"channel": BOOKS, "sid": BOOKS_SID}
        talk.hear(frame("subscribed", sid=None, id=command["id"], msg=message))
        for name in names:
            seq += 1
            talk.hear(book(name, seq))

    assert talk.findings == [BooksMissing(("B",)), Ready(3)]


def test_a_refused_firehose_ends_the_connection() -> None:
    talk = Talk().start()

    with pytest.raises(ProtocolError, match="was refused: 8"):
        talk.hear(refusal(talk.commands[0]["id"], 8))


@pytest.mark.parametrize("code", [18, 27])
def test_a_command_that_the_venue_had_no_time_for_is_repeated(code: int) -> None:
    talk = Talk().start()
    first = talk.commands[0]

    talk.hear(refusal(first["id"], code))
    talk.wait(ANSWER_WITHIN_NS + 1)

    assert [one["params"] for one in talk.commands].count(first["params"]) == 2


def test_lifecycle_frames_are_news() -> None:
    [news] = Talk().start().hear(lifecycle("A", "created", open_ts=1, close_ts=2))

    assert isinstance(news, MarketNews)
    assert (news.message.market_ticker, news.message.open_ts) == ("A", 1)


STRANGE = [
    b"", b"{", b"[]", b"null", b"\xff", b'{"type":7}', b'{"type":"subscribed"}', b'{"type":"ok","id":99,"msg":[1]}',
    b'{"type":"error","msg":{"code":"x"}}', b'{"type":"orderbook_snapshot","sid":4,"msg":{}}', b"[" * 100_000,
    b'{"type":"orderbook_snapshot","sid":4,"msg":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    frame("brand_new", sid=77, seq=1, surprise={"x": [1]}), frame("subscribed", msg={"channel": "other", "sid": 50}),
    frame("market_lifecycle_v2", msg={"market_ticker": "A", "event_type": "new", "open_ts": "tomorrow"}),
]  # fmt: skip


@pytest.mark.parametrize("payload", STRANGE, ids=range(len(STRANGE)))
def test_a_strange_frame_does_not_end_the_conversation(payload: bytes) -> None:
    talk = ready("A")

    talk.hear(payload)

    assert talk.hear(delta("A", 2, sid=BOOKS_SID)) == []


def test_the_time_of_sending_is_kept_for_the_lag() -> None:
    talk = Talk().start()

    talk.hear(frame("ticker", msg={}, sending_ts_ms=5))

    assert (talk.session.frame_type, talk.session.sent_ms) == ("ticker", 5)


def test_a_recorded_connection_shows_no_gap(recordings: Path) -> None:
    talk = Talk()

    found = talk.hear(*recorded(recordings / "cockpit/ws_orderbook_stream.jsonl"))

    assert found == []
    assert talk.n == 269

"""Subscriptions, acknowledgements and refusals of one conversation."""

from pathlib import Path

import pytest

from streaming.kalshi.books_due import WITHIN_NS
from streaming.kalshi.findings import (
    BookFound,
    BooksMissing,
    MarketNews,
    Ready,
)
from streaming.kalshi.pending import ANSWER_WITHIN_NS, TRIES
from streaming.kalshi.protocol_error import ProtocolError
from streaming.kalshi.session import CHUNK, FIREHOSES, ROLL_CALL_EVERY_NS
from tests.streaming.kalshi.frames import delta, frame, lifecycle, recorded
from tests.streaming.kalshi.talk import BOOKS, BOOKS_SID, Talk, action_of, book, ready, refusal


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

    added = [one for one in talk.commands if action_of(one) == "add_markets"]
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
    b'{"type":"trade","sid":1,"seq":1,"id":"x","more":' + b"[" * 3000,
    b'{"type":"subscribed","msg":{"channel":"\xff","sid":50}}', b'{"type":"error","msg":{"code":1,"msg":"\xb9"}}',
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


# -- roll call ---------------------------------------------------------------------------------------


def channels_of(talk: Talk, **left_out: int) -> list[dict[str, object]]:
    sids = {channel: sid for sid, channel in enumerate((*FIREHOSES, BOOKS), start=1)}
    return [{"channel": channel, "sid": sid} for channel, sid in sids.items() if channel not in left_out]


def called(*tickers: str) -> Talk:
    """A conversation that has just asked what the venue thinks that it follows."""
    talk = ready(*tickers)
    talk.wait(ROLL_CALL_EVERY_NS + 1)
    return talk


def answer_books(talk: Talk, *tickers: str) -> None:
    asked = talk.last("add_markets")
    listed = {"market_tickers": list(tickers)}
    talk.hear(frame("ok", sid=BOOKS_SID, seq=len(talk.session._asked) + 1, id=asked["id"], msg=listed))


def test_once_a_minute_the_venue_is_asked_what_we_follow() -> None:
    talk = called("A", "B")

    assert talk.last("list_subscriptions") is not None
    assert talk.last("add_markets")["params"]["market_tickers"] == ["A"]


def test_a_market_that_the_venue_does_not_follow_for_us_is_missing_and_asked_for_again() -> None:
    talk = called("A", "B")
    talk.findings.clear()

    answer_books(talk, "A")

    assert BooksMissing(("B",)) in talk.session.on_time(talk.now_ns)
    assert talk.last("add_markets")["params"]["market_tickers"] == ["B"]


def test_a_book_that_was_given_up_is_asked_for_with_the_roll_call() -> None:
    talk = ready("A")
    talk.want("A", "B")
    talk.hear(frame("ok", sid=BOOKS_SID, seq=2, id=talk.last("add_markets")["id"], msg={"market_tickers": ["A", "B"]}))  # fmt: skip
    for _ in range(TRIES + 1):
        talk.wait(WITHIN_NS + 1)
    talk.commands.clear()

    talk.wait(ROLL_CALL_EVERY_NS + 1)

    asked = [one["params"]["market_tickers"] for one in talk.commands if action_of(one) == "get_snapshot"]
    assert ["B"] in asked
    assert talk.hear(book("B", 3)) == [BookFound("B")]


def test_a_channel_that_was_never_fed_is_stalled_since_it_was_opened() -> None:
    talk = Talk().start()
    talk.now_ns = 7
    talk.acknowledge()

    assert talk.session.last_of("trade") == (3, 0, 7)


def test_a_market_that_the_venue_still_follows_is_taken_back() -> None:
    talk = called("A")

    answer_books(talk, "A", "Z")

    assert talk.last("delete_markets")["params"]["market_tickers"] == ["Z"]


def test_an_answer_that_lists_what_we_follow_changes_nothing() -> None:
    talk = called("A", "B")
    before = len(talk.commands)

    answer_books(talk, "A", "B")

    assert len(talk.commands) == before


def test_a_channel_that_the_venue_lists_no_more_ends_the_connection() -> None:
    talk = called("A")
    asked = talk.last("list_subscriptions")

    with pytest.raises(ProtocolError, match=r"lists no subscription any more to trade \(3\)"):
        talk.hear(frame("ok", sid=None, id=asked["id"], msg=channels_of(talk, trade=1)))


def test_a_whole_list_of_channels_is_fine() -> None:
    talk = called("A")

    talk.hear(frame("ok", sid=None, id=talk.last("list_subscriptions")["id"], msg=channels_of(talk)))

    assert talk.wait(1) == []

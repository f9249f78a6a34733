"""What a conversation makes of numbers that are missing and of books that do not come."""

from streaming.kalshi.books_due import WITHIN_NS
from streaming.kalshi.findings import (
    BookFound,
    BooksHealed,
    BooksMissing,
    Finding,
    MarketNews,
    Ready,
    SequenceGap,
)
from streaming.kalshi.pending import TRIES
from streaming.kalshi.sequence import Skipped
from tests.streaming.kalshi.frames import delta, frame, lifecycle, trade
from tests.streaming.kalshi.talk import BOOKS, BOOKS_SID, Talk, action_of, book, ready


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
        found += talk.wait(WITHIN_NS + 1)

    assert found == [BooksMissing(("B",)), Ready(2)]
    assert talk.hear(book("B", 2)) == [BookFound("B")]
    assert [one["params"]["market_tickers"] for one in talk.commands if action_of(one) == "get_snapshot"] == [
        ["B"]
    ] * TRIES


def test_the_others_do_not_wait_for_a_missing_book() -> None:
    talk = Talk().start("A", "B")
    talk.acknowledge()
    talk.hear(book("A", 1))

    assert talk.wait(WITHIN_NS + 1) == [BooksMissing(("B",)), Ready(2)]


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
        talk.wait(WITHIN_NS + 1)

    assert talk.hear(book("A", 1)) == [BookFound("A")]


def test_a_missing_book_that_is_no_longer_wanted_is_missed_no_more() -> None:
    talk = Talk().start("A")
    talk.acknowledge()
    for _ in range(TRIES + 1):
        talk.wait(WITHIN_NS + 1)

    talk.want()

    assert talk.wait(0) == [BookFound("A")]


def test_after_one_odd_number_the_conversation_goes_on() -> None:
    talk = ready("A")
    talk.hear(delta("A", 1000, sid=BOOKS_SID))

    found = talk.hear(*(delta("A", seq, sid=BOOKS_SID) for seq in range(2, 6)), book("A", 6))

    assert [type(one) for one in found] == [SequenceGap, BooksHealed]
    assert talk.hear(delta("A", 7, sid=BOOKS_SID)) == []


def test_late_news_of_a_market_is_heard() -> None:
    talk = ready("A")
    talk.hear(lifecycle("B", "created", 1, sid=3), lifecycle("B", "activated", 3, sid=3))

    [news] = talk.hear(lifecycle("C", "created", 2, sid=3))

    assert isinstance(news, MarketNews)
    assert news.message.market_ticker == "C"

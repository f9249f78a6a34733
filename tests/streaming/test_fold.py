from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Level,
    MarketEvent,
    Origin,
    TakerSide,
    Trade,
)
from streaming.fold import CHECKPOINT_EVERY, Fold
from streaming.issues import IssueKind

DAY_NS = 86_400 * 10**9
NOON = 20_000 * DAY_NS + DAY_NS // 2


def origin(n: int, at_ns: int = 0) -> Origin:
    return Origin("s", n, 0, at_ns or NOON + n, 1)


def snapshot(n: int, ticker: str = "A", **bids: int) -> BookSnapshot:
    return BookSnapshot(ticker, (Level(4000, bids.get("size", 100)),), (), None, origin(n))


def delta(n: int, change: int = 1, ticker: str = "A", price: int = 4000, at_ns: int = 0) -> BookDelta:
    return BookDelta(ticker, BookSide.BID, price, change, None, None, origin(n, at_ns))


def kinds(events: list[MarketEvent]) -> list[str]:
    return ["checkpoint" if getattr(one, "is_checkpoint", False) else type(one).__name__ for one in events]


def test_a_snapshot_is_followed_by_a_checkpoint_of_the_same_frame() -> None:
    event = snapshot(7)

    first, checkpoint = Fold().apply(event)

    assert first is event
    assert isinstance(checkpoint, BookSnapshot)
    assert (checkpoint.is_checkpoint, checkpoint.bids) == (True, event.bids)
    assert (checkpoint.origin.n, checkpoint.origin.k) == (7, 1)


def test_a_delta_gets_the_new_resting_size() -> None:
    fold = Fold()
    fold.apply(snapshot(1))

    [completed] = fold.apply(delta(2, change=-40))

    assert isinstance(completed, BookDelta)
    assert completed.size_e2 == 60


def test_a_delta_of_an_unknown_book_stays_as_it_is() -> None:
    event = delta(1)

    assert Fold().apply(event) == [event]


def test_a_checkpoint_comes_every_256_deltas() -> None:
    fold = Fold()
    fold.apply(snapshot(1))

    given_kinds = [kinds(fold.apply(delta(n))) for n in range(2, 2 + 2 * CHECKPOINT_EVERY)]

    due = [index for index, found in enumerate(given_kinds, start=1) if "checkpoint" in found]
    assert due == [CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY]


def test_the_first_event_of_a_day_brings_a_checkpoint() -> None:
    fold = Fold()
    fold.apply(snapshot(1))
    midnight = (NOON // DAY_NS + 1) * DAY_NS

    before = kinds(fold.apply(delta(2, at_ns=midnight - 1)))
    first = kinds(fold.apply(delta(3, at_ns=midnight)))
    second = kinds(fold.apply(delta(4, at_ns=midnight + 1)))

    assert (before, first, second) == (["BookDelta"], ["BookDelta", "checkpoint"], ["BookDelta"])


def test_a_forgotten_book_is_unknown_until_its_next_snapshot() -> None:
    fold = Fold()
    fold.apply(snapshot(1))
    fold.apply(snapshot(2, "B"))

    fold.forget(["A"])

    assert kinds(fold.apply(delta(3))) == ["BookDelta"]
    assert _size(fold.apply(delta(4))[0]) is None
    assert _size(fold.apply(delta(5, ticker="B"))[0]) == 101
    fold.apply(snapshot(6))
    assert _size(fold.apply(delta(7))[0]) == 101


def test_without_names_every_book_is_forgotten() -> None:
    fold = Fold()
    fold.apply(snapshot(1))
    fold.apply(snapshot(2, "B"))

    fold.forget()

    books = [fold.book(ticker) for ticker in fold.tickers]
    assert [book.is_known for book in books if book] == [False, False]


def test_a_contradicted_book_brings_no_checkpoint() -> None:
    fold = Fold()
    fold.apply(snapshot(1))

    assert kinds(fold.apply(delta(2, change=-101))) == ["BookDelta"]


def test_nothing_is_kept_of_a_dropped_market() -> None:
    fold = Fold()
    fold.apply(snapshot(1))

    fold.drop("A")

    assert (fold.book("A"), fold.tickers) == (None, [])


def test_other_events_pass_unchanged() -> None:
    event = Trade("A", "t", 1, 1, TakerSide.BUY, None, origin(1))

    assert Fold().apply(event) == [event]


def _size(event: Any) -> int | None:
    return event.size_e2  # type: ignore[no-any-return]


steps = st.lists(
    st.tuples(st.sampled_from("AB"), st.sampled_from([3000, 4000, 5000]), st.integers(-150, 150))
    | st.sampled_from("AB"),
    max_size=60,
)


def _events(drawn: list[Any]) -> list[MarketEvent]:
    return [
        snapshot(n, one) if isinstance(one, str) else delta(n, one[2], one[0], one[1])
        for n, one in enumerate(drawn, start=1)
    ]


@given(steps)
def test_the_same_events_give_the_same_events(drawn: list[Any]) -> None:
    one, other = Fold(), Fold()

    assert [one.apply(event) for event in _events(drawn)] == [other.apply(event) for event in _events(drawn)]


@given(steps)
def test_a_reader_may_begin_at_any_checkpoint(drawn: list[Any]) -> None:
    events, fold = _events(drawn), Fold()
    found = [fold.apply(event) for event in events]

    for start, made in enumerate(found):
        checkpoints = [one for one in made if isinstance(one, BookSnapshot) and one.is_checkpoint]
        for checkpoint in checkpoints:
            again, ticker = Fold(), checkpoint.ticker
            again.apply(checkpoint)
            later = [
                (again.apply(event), expected)
                for event, expected in zip(events[start + 1 :], found[start + 1 :], strict=True)
                if event.ticker == ticker
            ]
            assert all(got == expected for got, expected in later)


@given(steps)
def test_identities_of_one_frame_differ_in_k_only(drawn: list[Any]) -> None:
    fold = Fold()
    for event in _events(drawn):
        made = fold.apply(event)
        assert [one.origin.k for one in made] == list(range(len(made)))
        assert {msgspec.structs.replace(one.origin, k=0) for one in made} == {event.origin}


def requested(n: int, size: int, connection: int = 1) -> BookSnapshot:
    one = msgspec.structs.replace(snapshot(n, size=size), is_requested=True)
    return msgspec.structs.replace(one, origin=msgspec.structs.replace(one.origin, connection=connection))


def test_a_book_that_we_asked_for_and_that_is_not_ours_is_a_drift() -> None:
    fold = Fold()
    fold.apply(snapshot(1))

    fold.apply(requested(2, size=70))

    assert fold.noted == [(IssueKind.BOOK_DRIFT, "1 levels; bid at 4000: 70, kept 100")]


def test_a_book_that_is_ours_was_lost_or_was_not_asked_for_is_no_drift() -> None:
    fold = Fold()
    fold.apply(snapshot(1))
    fold.apply(requested(2, size=100))
    fold.forget()
    fold.apply(requested(3, size=5))
    fold.apply(requested(4, size=6, connection=2))
    fold.apply(snapshot(5, size=7))

    assert fold.noted == []

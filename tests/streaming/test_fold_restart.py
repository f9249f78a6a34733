"""A fold taken up at a checkpoint, or from its state, goes on as if it had read everything."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import BookDelta, BookSide, BookSnapshot, Level, MarketEvent, Origin
from streaming.fold import Fold, MarketState
from streaming.issues import IssueKind

HOUR_NS = 3600 * 10**9
NOON = 20_000 * 24 * HOUR_NS + 12 * HOUR_NS

# (what happens, ticker, side, price, size): five hours lie between two steps, so that days change on the way.
steps = st.lists(
    st.tuples(
        st.sampled_from(["delta", "delta", "delta", "delta", "snapshot", "forget", "drop"]),
        st.sampled_from("AB"),
        st.sampled_from(BookSide),
        st.sampled_from([3000, 4000, 5000]),
        st.integers(-100, 150),
    ),
    max_size=60,
)


def applied(fold: Fold, n: int, step: Any) -> list[Any]:
    """What the fold makes of one step, and what it found odd."""
    kind, ticker, side, price, size = step
    if kind == "forget":
        fold.forget([ticker])
        return []
    if kind == "drop":
        fold.drop(ticker)
        return []
    event = event_of(kind, ticker, side, price, size, n)
    return [*fold.apply(event), *noted(fold)]


def event_of(kind: str, ticker: str, side: BookSide, price: int, size: int, n: int) -> MarketEvent:
    at = Origin("s", n, 0, NOON + n * 5 * HOUR_NS, 1)
    if kind == "delta":
        return BookDelta(ticker, side, price, size, None, None, at)
    own = (Level(price, abs(size)),)
    return BookSnapshot(
        ticker, own if side is BookSide.BID else (), own if side is BookSide.ASK else (), None, at
    )


def noted(fold: Fold) -> list[tuple[IssueKind, str]]:
    found, fold.noted = fold.noted, []
    return found


@given(steps)
def test_a_fold_resumed_at_any_checkpoint_goes_on_the_same(drawn: list[Any]) -> None:
    fold = Fold()
    found = [applied(fold, n, step) for n, step in enumerate(drawn)]

    for start, made in enumerate(found):
        for checkpoint in made:
            if not (isinstance(checkpoint, BookSnapshot) and checkpoint.is_checkpoint):
                continue
            again = Fold()
            again.resume(checkpoint)
            for n, step in enumerate(drawn[start + 1 :], start=start + 1):
                if step[1] == checkpoint.ticker:
                    assert applied(again, n, step) == found[n]


@given(steps, st.data())
def test_a_fold_taken_up_from_its_state_goes_on_the_same(drawn: list[Any], data: st.DataObject) -> None:
    whole, first = Fold(), Fold()
    cut = data.draw(st.integers(0, len(drawn)))
    expected = [applied(whole, n, step) for n, step in enumerate(drawn)]
    for n, step in enumerate(drawn[:cut]):
        applied(first, n, step)

    kept = msgspec.json.encode(first.state())
    again = Fold(msgspec.json.decode(kept, type=list[MarketState]))

    assert [applied(again, n, step) for n, step in enumerate(drawn[cut:], start=cut)] == expected[cut:]
    assert again.state() == whole.state()


@given(steps)
def test_resting_sizes_are_the_sum_of_the_changes(drawn: list[Any]) -> None:
    fold = Fold()
    book: dict[tuple[BookSide, int], int] = {}
    for n, (kind, _, side, price, size) in enumerate(drawn):
        if kind not in ("delta", "snapshot"):
            continue
        was_known = bool(book) or fold.book("A") is not None
        [event, *_] = fold.apply(event_of(kind, "A", side, price, size, n))
        if kind == "snapshot":
            book = {(side, price): abs(size)}
        elif isinstance(event, BookDelta) and event.size_e2 is not None:
            assert was_known
            book[side, price] = book.get((side, price), 0) + size
            assert event.size_e2 == book[side, price] >= 0
        else:
            book = {}
        assert _levels(fold) == {place: rests for place, rests in book.items() if rests}


def _levels(fold: Fold) -> dict[tuple[BookSide, int], int]:
    book = fold.book("A")
    assert book is not None
    sides = ((BookSide.BID, book.bids), (BookSide.ASK, book.asks))
    return {(side, level.price_e4): level.size_e2 for side, levels in sides for level in levels}


def test_a_crossed_book_is_told_once_until_it_is_right_again() -> None:
    fold = Fold()
    fold.apply(BookSnapshot("A", (Level(4000, 1),), (Level(4100, 1),), None, Origin("s", 1, 0, NOON, 1)))

    found = []
    for n, (price, change) in enumerate([(4100, 5), (4200, 5), (4200, -5), (4100, -5), (4100, 5)]):
        fold.apply(BookDelta("A", BookSide.BID, price, change, None, None, Origin("s", n + 2, 0, NOON, 1)))
        found.append([kind for kind, _ in noted(fold)])

    assert found == [[IssueKind.CROSSED_BOOK], [], [], [], [IssueKind.CROSSED_BOOK]]


def test_less_than_nothing_is_told_and_makes_the_book_unknown() -> None:
    fold = Fold()
    fold.apply(BookSnapshot("A", (Level(4000, 1),), (), None, Origin("s", 1, 0, NOON, 1)))

    fold.apply(BookDelta("A", BookSide.BID, 4000, -2, None, None, Origin("s", 2, 0, NOON, 1)))
    fold.apply(BookDelta("A", BookSide.BID, 4000, -2, None, None, Origin("s", 3, 0, NOON, 1)))

    assert noted(fold) == [(IssueKind.NEGATIVE_SIZE, "bid at 4000")]

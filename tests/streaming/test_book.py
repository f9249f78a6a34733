from hypothesis import given
from hypothesis import strategies as st

from streaming.book import MOST_E2, OrderBook
from streaming.events import BookDelta, BookSide, BookSnapshot, Level, Origin

ORIGIN = Origin("s", 1, 0, 1, 1)


def snapshot(*, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None) -> BookSnapshot:
    return BookSnapshot("A", _levels(bids), _levels(asks), None, ORIGIN)


def _levels(sizes: dict[int, int] | None) -> tuple[Level, ...]:
    return tuple(Level(price, size) for price, size in (sizes or {}).items())


def delta(price_e4: int, delta_e2: int, side: BookSide = BookSide.BID) -> BookDelta:
    return BookDelta("A", side, price_e4, delta_e2, None, None, ORIGIN)


def known(**sides: dict[int, int]) -> OrderBook:
    book = OrderBook()
    book.replace(snapshot(**sides))
    return book


def test_a_book_is_not_known_before_its_first_snapshot() -> None:
    book = OrderBook()

    assert book.change(delta(4000, 100)) is None
    assert not book.is_known
    assert book.bids == ()


def test_best_levels_come_first() -> None:
    book = known(bids={4000: 1, 4200: 2, 100: 3}, asks={6000: 1, 4300: 2})

    assert [level.price_e4 for level in book.bids] == [4200, 4000, 100]
    assert [level.price_e4 for level in book.asks] == [4300, 6000]


def test_a_change_gives_what_rests_there_now() -> None:
    book = known(bids={4000: 500})

    assert book.change(delta(4000, -200)) == 300
    assert book.change(delta(4100, 50)) == 50
    assert book.bids == (Level(4100, 50), Level(4000, 300))


def test_a_level_without_size_is_gone() -> None:
    book = known(bids={4000: 500})

    assert book.change(delta(4000, -500)) == 0
    assert book.bids == ()


def test_the_two_sides_do_not_touch_each_other() -> None:
    book = known(bids={4000: 500}, asks={4000: 700})

    book.change(delta(4000, 100, BookSide.ASK))

    assert (book.bids, book.asks) == ((Level(4000, 500),), (Level(4000, 800),))


def test_less_than_nothing_makes_the_book_unknown_until_a_snapshot() -> None:
    book = known(bids={4000: 500})

    assert book.change(delta(4000, -501)) is None
    assert not book.is_known
    assert book.change(delta(4000, 100)) is None
    book.replace(snapshot(bids={3000: 1}))
    assert book.is_known
    assert book.bids == (Level(3000, 1),)


def test_more_than_there_can_be_makes_the_book_unknown_too() -> None:
    book = known(bids={4000: MOST_E2 - 1})

    assert book.change(delta(4000, 1)) == MOST_E2
    assert book.change(delta(4000, 1)) is None
    assert not book.is_known


def test_a_snapshot_replaces_whatever_was_there() -> None:
    book = known(bids={4000: 500}, asks={6000: 1})

    book.replace(snapshot())

    assert (book.bids, book.asks, book.is_known) == ((), (), True)


def test_a_level_of_size_zero_in_a_snapshot_is_no_level() -> None:
    assert known(bids={4000: 0, 3000: 1}).bids == (Level(3000, 1),)


def test_a_forgotten_book_holds_nothing() -> None:
    book = known(bids={4000: 500})

    book.forget()

    assert (book.is_known, book.bids) == (False, ())


def test_a_reader_may_set_levels() -> None:
    book = known(bids={4000: 500})

    book.set_level(BookSide.BID, 4000, 0)
    book.set_level(BookSide.ASK, 6000, 7)

    assert (book.bids, book.asks) == ((), (Level(6000, 7),))


changes = st.lists(st.tuples(st.sampled_from(BookSide), st.integers(0, 5), st.integers(-300, 300)))


@given(changes)
def test_no_level_is_ever_negative_or_empty(several: list[tuple[BookSide, int, int]]) -> None:
    book = known(bids={1: 100}, asks={4: 100})

    for side, price, change in several:
        size = book.change(delta(price, change, side))
        assert size is None or size >= 0
        assert all(level.size_e2 > 0 for level in (*book.bids, *book.asks))


@given(changes)
def test_a_known_book_is_the_sum_of_its_changes(several: list[tuple[BookSide, int, int]]) -> None:
    book, sums = known(), dict[tuple[BookSide, int], int]()
    for side, price, change in several:
        book.change(delta(price, change, side))
        sums[side, price] = sums.get((side, price), 0) + change
        if sums[side, price] < 0:
            assert not book.is_known
            return

    expected = {(side, price): size for (side, price), size in sums.items() if size}
    found = {(BookSide.BID, one.price_e4): one.size_e2 for one in book.bids}
    assert found | {(BookSide.ASK, one.price_e4): one.size_e2 for one in book.asks} == expected

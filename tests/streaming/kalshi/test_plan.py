from hypothesis import given
from hypothesis import strategies as st

from streaming.kalshi.plan import Plan
from streaming.kalshi.shards import Shard

tickers = st.sets(st.text("ABC", min_size=1, max_size=4), max_size=30)


def test_without_a_number_all_books_share_the_first_line() -> None:
    plan = Plan()

    assert plan.place({"A", "B"}) == {0: {"A", "B"}}
    assert (plan.first_lines, plan.channels(0)) == ([0], [])


def test_books_are_spread_over_lines_behind_the_first() -> None:
    plan = Plan(books_a_line=2)

    assert plan.place({"A", "B", "C"}) == {1: {"A", "B"}, 2: {"C"}}
    assert plan.first_lines == [0, 1]
    assert plan.channels(0) == ["lifecycle", "ticker", "trade"]
    assert plan.channels(2) == ["orderbook"]
    assert plan.firehoses(2) == ()


def test_a_book_stays_on_its_line_and_a_new_one_takes_the_first_free_place() -> None:
    plan = Plan(books_a_line=2)
    plan.place({"A", "B", "C", "D"})

    assert plan.place({"B", "C", "D", "E", "F"}) == {1: {"B", "E"}, 2: {"C", "D"}, 3: {"F"}}


def test_what_finds_no_room_is_told() -> None:
    plan = Plan(books_a_line=1, most_lines=3)

    assert plan.place({"A", "B", "C", "D"}) == {1: {"A"}, 2: {"B"}}
    assert plan.overflow == {"C", "D"}
    plan.place({"B", "C"})
    assert plan.overflow == set()


def test_a_connector_that_is_not_the_first_hears_of_markets_only() -> None:
    plan = Plan(books_a_line=2, shard=Shard(2, 3))

    assert plan.firehoses(0) == ("market_lifecycle_v2",)
    assert plan.channels(0) == ["lifecycle"]


@given(tickers, tickers)
def test_every_wanted_book_has_one_place_or_is_told_to_have_none(before: set[str], now: set[str]) -> None:
    plan = Plan(books_a_line=3, most_lines=4)
    earlier = plan.place(before)

    placed = plan.place(now)

    spread = [ticker for books in placed.values() for ticker in books]
    assert len(spread) == len(set(spread))
    assert set(spread) | plan.overflow == now
    assert all(len(books) <= 3 for books in placed.values())
    for line, books in earlier.items():
        assert books & now <= placed.get(line, set())


@given(st.text(min_size=1, max_size=20), st.integers(1, 9))
def test_exactly_one_of_several_connectors_follows_a_market(ticker: str, count: int) -> None:
    owners = [index for index in range(1, count + 1) if Shard(index, count).owns(ticker)]

    assert len(owners) == 1

"""One market as several sessions saw it: nothing lost, nothing told twice."""

from hypothesis import given
from hypothesis import strategies as st

from archive.merge import Seen, merged

OLD, NEW = "kalshi-20251214T000000Z-aaaaaa", "kalshi-20251214T001000Z-bbbbbb"


def kept(*events: Seen) -> list[int]:
    return merged(range(len(events)), lambda index: events[index])


def test_what_one_session_recorded_stays_as_it_is() -> None:
    assert kept(Seen(OLD), Seen(OLD, can_take_over=False), Seen(OLD)) == [0, 1, 2]


def test_a_trade_counts_when_it_first_arrives_whoever_saw_it() -> None:
    assert kept(Seen(OLD, "a"), Seen(NEW, "a"), Seen(NEW, "b"), Seen(OLD, "b"), Seen(OLD, "c")) == [0, 2, 4]


def test_a_book_switches_to_the_newer_session_at_its_snapshot() -> None:
    old, new = Seen(OLD, can_take_over=False), Seen(NEW, can_take_over=False)
    events = [Seen(OLD), old, Seen(NEW), old, old, new]

    assert kept(*events) == [0, 1, 2, 5]


def test_a_delta_of_the_newer_session_before_its_snapshot_is_not_followed() -> None:
    assert kept(Seen(OLD), Seen(NEW, can_take_over=False), Seen(OLD, can_take_over=False)) == [0, 2]


def test_when_the_followed_session_is_over_the_other_one_is_all_there_is() -> None:
    assert kept(Seen(OLD), Seen(NEW, can_take_over=False), Seen(NEW)) == [0, 1, 2]


def test_the_older_session_is_followed_again_only_from_a_whole_book() -> None:
    assert kept(Seen(OLD), Seen(NEW), Seen(OLD, can_take_over=False), Seen(OLD)) == [0, 1, 3]


@given(st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.integers(0, 9)), max_size=40))
def test_every_trade_stands_exactly_once(events: list[tuple[str, int]]) -> None:
    seen = [Seen(session, str(number)) for session, number in events]

    ids = [seen[index].trade_id for index in merged(range(len(seen)), lambda index: seen[index])]

    several = len({session for session, _ in events}) > 1
    assert set(ids) == {one.trade_id for one in seen}
    assert len(ids) == (len(set(ids)) if several else len(events))

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.kalshi.sequence import MOST_HOLES, Odd, SeqCounter, Skipped

NEXT, REPEATED, LATE = None, Odd.REPEATED, Odd.LATE


def taken(*numbers: int, sid: int = 1) -> list[Any]:
    counter = SeqCounter()
    return [counter.take(sid, seq) for seq in numbers]


def skipped(expected: int, received: int) -> Skipped:
    return Skipped(1, expected, received)


@given(st.integers(1, 50))
def test_consecutive_numbers_miss_nothing(count: int) -> None:
    assert taken(*range(1, count + 1)) == [NEXT] * count


def test_a_hole_is_found_at_the_frame_behind_it() -> None:
    assert taken(1, 2, 5, 6) == [NEXT, NEXT, skipped(3, 5), NEXT]


def test_a_first_number_above_one_misses_the_first_frames() -> None:
    assert taken(4) == [skipped(1, 4)]


def test_a_repetition_misses_nothing_and_is_known_as_one() -> None:
    assert taken(1, 2, 3, 2, 4) == [NEXT, NEXT, NEXT, REPEATED, NEXT]


def test_the_last_frames_sent_once_more_are_repetitions() -> None:
    assert taken(*range(1, 7), 4, 5, 6, 7)[6:] == [REPEATED, REPEATED, REPEATED, NEXT]


def test_two_frames_that_changed_places_are_a_loss_and_a_late_one() -> None:
    assert taken(1, 2, 4, 3, 5, 3) == [NEXT, NEXT, skipped(3, 4), LATE, NEXT, REPEATED]


def test_a_count_that_begins_again_is_a_loss() -> None:
    assert taken(1, 2, 3, 1, 2) == [NEXT, NEXT, NEXT, skipped(4, 1), NEXT]


@pytest.mark.parametrize("odd", [1000, 2**62])
def test_after_one_odd_number_the_others_go_on_from_before_it(odd: int) -> None:
    found = taken(1, 2, odd, *range(3, 100))

    assert found[2:5] == [skipped(3, odd), LATE, LATE]
    assert found[5] == skipped(odd + 1, 5)
    assert set(found[6:]) == {NEXT}


def test_a_number_that_was_spoiled_on_the_way_costs_no_others() -> None:
    assert taken(1, 2, 1000, 4, 5, 6, 7)[2:] == [skipped(3, 1000), LATE, LATE, skipped(1001, 6), NEXT]


def test_the_odd_number_is_the_next_one_when_its_turn_comes() -> None:
    assert taken(1, 2, 10, *range(3, 12))[-3:] == [NEXT, NEXT, NEXT]


def test_a_count_that_goes_back_anywhere_is_a_loss_once_that_is_clear() -> None:
    found = taken(*range(1, 51), 20, 21, 22, 23)

    assert found[50:] == [REPEATED, REPEATED, skipped(51, 22), NEXT]


def test_single_late_frames_are_no_new_count() -> None:
    assert taken(1, 10, 3, 11, 4, 12, 5, 13)[2:] == [LATE, NEXT, LATE, NEXT, LATE, NEXT]


@given(st.lists(st.integers(0, 30), max_size=40))
def test_what_was_never_passed_is_not_called_repeated(numbers: list[int]) -> None:
    counter, passed = SeqCounter(), set[int]()
    for seq in numbers:
        if counter.take(1, seq) is REPEATED:
            assert seq in passed
        passed.add(seq)


@given(st.lists(st.integers(0, 30), max_size=40), st.data())
def test_a_counter_taken_up_from_its_state_counts_on_the_same(
    numbers: list[int], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(numbers)))
    first = SeqCounter()
    for seq in numbers[:cut]:
        first.take(1, seq)

    again = SeqCounter(first.state())

    assert [again.take(1, seq) for seq in numbers[cut:]] == taken(*numbers)[cut:]


def test_of_very_many_holes_the_latest_are_remembered() -> None:
    counter = SeqCounter()
    for seq in range(2, 1000, 2):
        counter.take(1, seq)

    assert len(counter.state()[1].holes) == MOST_HOLES
    assert [counter.take(1, seq) for seq in (997, 3)] == [LATE, REPEATED]


def test_subscriptions_count_apart() -> None:
    counter = SeqCounter()

    assert [counter.take(*one) for one in [(1, 1), (1, 2), (2, 1), (1, 3)]] == [NEXT] * 4


@pytest.mark.parametrize(("sid", "seq"), [(None, 5), (1, None), (None, None), (1, 0)])
def test_frames_without_a_number_do_not_count(sid: int | None, seq: int | None) -> None:
    counter = SeqCounter()

    assert [counter.take(1, 1), counter.take(sid, seq), counter.take(1, 2)] == [NEXT] * 3


def test_a_forgotten_subscription_begins_again() -> None:
    counter = SeqCounter()
    counter.take(1, 1)
    counter.take(1, 2)

    counter.forget(1)

    assert counter.take(1, 1) is NEXT

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.kalshi.sequence import SeqCounter, Skipped


def counted(*numbers: int, sid: int = 1) -> SeqCounter:
    counter = SeqCounter()
    for seq in numbers:
        counter.check(sid, seq)
    return counter


@given(st.integers(1, 50))
def test_consecutive_numbers_miss_nothing(count: int) -> None:
    counter = SeqCounter()

    assert [counter.check(1, seq) for seq in range(1, count + 1)] == [None] * count


def test_a_hole_is_found_at_the_frame_behind_it() -> None:
    assert counted(1, 2).check(1, 5) == Skipped(1, expected=3, received=5)
    assert counted(1, 2, 5).check(1, 6) is None


def test_a_first_number_above_one_misses_the_first_frames() -> None:
    assert counted().check(1, 4) == Skipped(1, expected=1, received=4)


def test_a_repetition_misses_nothing_and_is_known_as_one() -> None:
    counter = counted(1, 2, 3)

    assert counter.is_repeated(1, 2)
    assert counter.check(1, 2) is None
    assert counter.check(1, 4) is None


def test_a_new_number_is_no_repetition() -> None:
    assert not counted(1, 2).is_repeated(1, 3)
    assert not counted().is_repeated(1, 1)


def test_a_count_that_begins_again_is_a_loss() -> None:
    counter = counted(1, 2, 3)

    assert not counter.is_repeated(1, 1)
    assert counter.check(1, 1) == Skipped(1, expected=4, received=1)
    assert counter.check(1, 2) is None


def test_subscriptions_count_apart() -> None:
    counter = counted(1, 2)

    assert counter.check(2, 1) is None
    assert counter.check(1, 3) is None


@pytest.mark.parametrize(("sid", "seq"), [(None, 5), (1, None), (None, None)])
def test_frames_without_a_number_do_not_count(sid: int | None, seq: int | None) -> None:
    counter = counted(1)

    assert counter.check(sid, seq) is None
    assert not counter.is_repeated(sid, seq)
    assert counter.check(1, 2) is None


def test_a_forgotten_subscription_begins_again() -> None:
    counter = counted(1, 2, 3)

    counter.forget(1)

    assert counter.check(1, 1) is None

from datetime import UTC, datetime

from archive.normalized_manifest import Anchor
from archive.normalized_stand import (
    Stand,
    StreamState,
    TakeUp,
    epoch_of,
    furthest,
    life_of,
    next_life,
    take_up,
)

CREATED = datetime(2025, 12, 14, 0, 10, 0, 123, tzinfo=UTC)
EPOCH = "20251214T001000000123Z"
ANCHOR = Anchor(50, "session.50.0")


def state(first: int, last: int, created: datetime = CREATED) -> StreamState:
    return StreamState(created, first, last)


def test_an_epoch_is_the_streams_time_of_creation() -> None:
    assert epoch_of(CREATED) == EPOCH


def test_lives_are_numbered_from_two_on() -> None:
    assert [life_of(EPOCH), life_of(f"{EPOCH}-2")] == [(EPOCH, 1), (EPOCH, 2)]
    assert next_life(next_life(EPOCH)) == f"{EPOCH}-3"


def test_a_later_life_is_further_than_any_number_of_an_earlier_one() -> None:
    assert (
        furthest(Stand(f"{EPOCH}-10", 1)) > furthest(Stand(f"{EPOCH}-9", 1000)) > furthest(Stand(EPOCH, 2000))
    )


def test_an_unknown_stream_is_taken_up_at_its_first_message() -> None:
    assert take_up(None, state(101, 200), found=None) == TakeUp(Stand(EPOCH, 100))
    assert take_up(None, state(0, 0), found=None) == TakeUp(Stand(EPOCH, 0))


def test_another_creation_is_another_stream() -> None:
    known = Stand("20251213T001000000000Z", 50, ANCHOR)
    assert take_up(known, state(1, 3), found=None) == TakeUp(Stand(EPOCH, 0))


def test_a_known_stream_goes_on_where_it_stood() -> None:
    known = Stand(EPOCH, 50, ANCHOR)
    for stream in (state(1, 50), state(1, 90), state(70, 90)):
        assert take_up(known, stream, found=None) == TakeUp(known)
    assert take_up(known, state(1, 90), found="session.50.0") == TakeUp(known)


def test_a_stream_that_ends_before_what_is_archived_begins_a_new_life() -> None:
    taken = take_up(Stand(EPOCH, 50, ANCHOR), state(10, 49), found=None)
    assert taken.stand == Stand(f"{EPOCH}-2", 9)
    assert "ends at 49" in taken.why


def test_another_message_under_the_anchors_number_begins_a_new_life() -> None:
    taken = take_up(Stand(f"{EPOCH}-2", 50, ANCHOR), state(1, 90), found="session.51.0")
    assert taken.stand == Stand(f"{EPOCH}-3", 0)
    assert "session.51.0" in taken.why

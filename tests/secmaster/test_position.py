"""Where a follower goes on: never from the stream's beginning, and never past what was not read unnoticed."""

import pytest

from secmaster.position import BEFORE, StreamNow, take_up
from tests.secmaster.told import NOON, at, stand

STREAM = "ssmd-kalshi-sim"


def now(first: int = 1, last: int = 100, *, epoch: float = 0, anchored: str | None = None) -> StreamNow:
    return StreamNow(STREAM, at(epoch), first, last, anchored)


def test_without_a_position_reading_begins_two_minutes_before_the_last_sync() -> None:
    begin = take_up(None, now(), synced_at=at(0), now=at(500))

    assert (begin.since, begin.stand.sync_wanted_at, begin.new_life) == (NOON - BEFORE, None, "")


def test_without_a_sync_one_is_wanted() -> None:
    begin = take_up(None, now(), synced_at=None, now=at(500))

    assert (begin.since, begin.stand.sync_wanted_at) == (at(500) - BEFORE, at(500))


def test_a_known_position_is_gone_on_from() -> None:
    known = stand(50, anchor_seq=50, anchor_id="s.7.0")

    assert take_up(known, now(anchored="s.7.0"), synced_at=None, now=at(9)).stand == known


def test_an_anchor_that_is_gone_for_its_age_says_nothing() -> None:
    known = stand(50, anchor_seq=3, anchor_id="s.7.0")

    assert take_up(known, now(first=20), synced_at=None, now=at(9)).new_life == ""


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (now(epoch=5), "recreated"),
        (now(last=49), "rolled back"),
        (now(anchored="another.1.0"), "restored"),
    ],
)
def test_a_stream_whose_numbers_mean_something_else_is_begun_anew(stream: StreamNow, why: str) -> None:
    known = stand(50, anchor_seq=50, anchor_id="s.7.0")

    begin = take_up(known, stream, synced_at=at(0), now=at(9))

    assert (begin.new_life, begin.since) == (why, known.read_at - BEFORE)
    assert (begin.stand.seq, begin.stand.epoch, begin.stand.sync_wanted_at) == (0, stream.epoch, at(9))


def test_what_was_gone_before_it_was_read_is_named_and_a_sync_wanted() -> None:
    begin = take_up(stand(50), now(first=61), synced_at=at(0), now=at(9))

    assert (begin.missing, begin.stand.seq, begin.stand.sync_wanted_at) == ((51, 60), 60, at(9))


def test_nothing_is_missing_where_the_stream_begins_right_behind() -> None:
    assert take_up(stand(50), now(first=51), synced_at=at(0), now=at(9)).missing is None

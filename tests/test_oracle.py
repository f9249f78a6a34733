"""The judge is judged: it must find every fault that is made on purpose, and none in honest input."""

from collections.abc import Callable

import pytest

from streaming import marks
from streaming.records import Kind, Record
from tests.oracle import Archived, judge_archive
from tests.oracle_input import (
    CRASHED,
    END,
    LATER,
    NOON,
    Item,
    closed,
    faults,
    ledger,
    lost,
    on,
    opened,
    sent_on,
    session,
    whole,
)  # fmt: skip
from tests.streaming.kalshi.frames import trade

# -- honest input ------------------------------------------------------------------------------------


def test_a_whole_recording_is_faultless() -> None:
    verdict = judge_archive(ledger(c1=sent_on(1)), [whole()])

    assert verdict.faults == []
    assert (verdict.sent, verdict.archived, verdict.disclosed) == (12, 12, 0)


def reconnected(after_n: int = 10) -> Archived:
    """Connection 1 lost its last three frames; its last recorded one is n = 10."""
    first, second = sent_on(1)[:-3], sent_on(2)
    mark: tuple[int, Item] = (1, lost(1, after_n))
    return session(opened(1), *on(1, first), closed(1), mark, opened(2), *on(2, second), closed(2), END)


def test_a_disclosed_tail_before_a_reconnect_is_faultless() -> None:
    verdict = judge_archive(ledger(c1=sent_on(1), c2=sent_on(2)), [reconnected()])

    assert verdict.faults == []
    assert (verdict.archived, verdict.disclosed) == (21, 3)


def crashed(after_n: int = 10) -> Archived:
    mark: tuple[int, Item] = (0, lost(0, after_n, "process_crash"))
    return session(opened(1), *on(1, sent_on(1)[:-3]), mark, CRASHED)


def after_the_crash() -> Archived:
    return session(opened(1), *on(1, sent_on(2)), closed(1), END, name=LATER, at_ns=NOON + 10**9)


def test_a_disclosed_crash_is_faultless() -> None:
    verdict = judge_archive(ledger(c1=sent_on(1), c2=sent_on(2)), [crashed(), after_the_crash()])

    assert verdict.faults == []
    assert verdict.disclosed == 3


def test_a_connection_of_which_nothing_was_recorded_before_the_crash_is_disclosed() -> None:
    sent = ledger(c1=sent_on(1), c2=sent_on(2), c3=sent_on(3)[:2])
    died = session(
        opened(1),
        *on(1, sent_on(1)),
        opened(2),
        *on(2, sent_on(2)),
        (0, lost(0, 26, "process_crash")),
        CRASHED,
    )

    assert faults(sent, died) == []


def test_interleaved_connections_are_faultless() -> None:
    one, other = on(1, sent_on(1)), on(2, sent_on(2))
    mixed = [item for pair in zip(one, other, strict=True) for item in pair]

    assert faults(ledger(c1=sent_on(1), c2=sent_on(2)), session(opened(1), opened(2), *mixed, END)) == []


def test_a_hole_in_one_subscription_is_owned_up_to_by_its_gap() -> None:
    frames = sent_on(1)
    missing = frames[6]  # a delta: sid 1; the last frame of sid 1 before it is n = 6
    gap: tuple[int, Item] = (1, lost(1, 6, "sequence_gap", sid=1))

    assert b'"orderbook_delta"' in missing
    kept = [*on(1, frames[:6]), *on(1, frames[7:9]), gap, *on(1, frames[9:])]
    assert faults(ledger(c1=frames), session(opened(1), *kept, closed(1), END)) == []


# -- frames --------------------------------------------------------------------------------------------

ALTERED = trade("M1", 2, trade_id="M1-2", count_fp="9.13")
MUTANTS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "dropped in the middle": lambda frames: frames[:4] + frames[5:],
    "dropped at the start": lambda frames: frames[1:],
    "dropped at the end": lambda frames: frames[:-1],
    "doubled at once": lambda frames: [*frames[:4], frames[3], *frames[4:]],
    "doubled later": lambda frames: [*frames, frames[3]],
    "altered": lambda frames: [*frames[:3], ALTERED, *frames[4:]],
    "cut by its newline": lambda frames: [*frames[:3], frames[3].rstrip(b"\n"), *frames[4:]],
    "two reordered": lambda frames: [*frames[:4], frames[5], frames[4], *frames[6:]],
    "invented": lambda frames: [*frames[:4], trade("M9", 99), *frames[4:]],
    "all dropped": lambda frames: [],
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_changed_recording_is_found(mutant: str) -> None:
    frames = MUTANTS[mutant](sent_on(1))

    assert faults(ledger(c1=sent_on(1)), session(opened(1), *on(1, frames), closed(1), END))


@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name != "all dropped"])
def test_a_changed_recording_is_found_though_there_was_a_crash_later(mutant: str) -> None:
    frames = MUTANTS[mutant](sent_on(1))
    later = [(0, lost(0, len(frames) + 3, "process_crash")), CRASHED]
    archive = session(opened(1), *on(1, frames), closed(1), (0, marks.Tick(1)), *later)

    assert faults(ledger(c1=sent_on(1)), archive)


@pytest.mark.parametrize("mutant", [name for name in MUTANTS if name != "all dropped"])
def test_a_change_on_one_connection_is_not_excused_by_the_gap_of_another(mutant: str) -> None:
    archive = reconnected()
    first = [record for record in archive.records if record.connection == 1]
    second = MUTANTS[mutant](sent_on(2)) if mutant != "altered" else [*sent_on(2)[:-1], ALTERED]
    items = [(one.connection, _item(one)) for one in first]

    found = faults(
        ledger(c1=sent_on(1), c2=sent_on(2)), session(*items, opened(2), *on(2, second), closed(2), END)
    )

    assert found


def _item(record: Record) -> Item:
    return marks.decode(record.payload) if record.kind == Kind.MARK else record.payload


def test_a_frame_on_another_connection_is_found() -> None:
    one, other = sent_on(1), sent_on(2)
    moved = session(*on(1, one[:-1]), *on(2, [*other, one[-1]]), END)

    assert faults(ledger(c1=one, c2=other), moved)


def test_a_connection_that_is_archived_twice_is_found() -> None:
    twice = session(*on(1, sent_on(1)), *on(2, sent_on(1)), END)

    assert faults(ledger(c1=sent_on(1)), twice)
    assert faults(ledger(c1=sent_on(1), c2=[trade("X", 1)]), twice)


def test_a_connection_that_is_not_archived_at_all_is_found() -> None:
    assert faults(ledger(c1=sent_on(1), c2=sent_on(2)), whole())


def test_one_crash_excuses_one_connection_only() -> None:
    sent = ledger(c1=sent_on(1), c2=sent_on(2), c3=sent_on(3))
    archive = session(opened(1), *on(1, sent_on(1)), (0, lost(0, 13, "process_crash")), CRASHED)

    assert len(faults(sent, archive)) == 1


def test_a_hole_in_the_numbers_is_found() -> None:
    archive = whole()
    archive.records[3] = archive.records[3]._replace(n=40)

    assert faults(ledger(c1=sent_on(1)), archive)


def test_times_that_do_not_rise_are_found() -> None:
    archive = whole()
    archive.records[3] = archive.records[3]._replace(received_ns=archive.records[2].received_ns)

    assert faults(ledger(c1=sent_on(1)), archive)


# -- gap marks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_n", [0, 1, 9, 11, 12, 20, 99])
def test_a_gap_mark_that_stands_elsewhere_excuses_nothing(after_n: int) -> None:
    assert faults(ledger(c1=sent_on(1), c2=sent_on(2)), reconnected(after_n))


@pytest.mark.parametrize("after_n", [0, 9, 11, 99])
def test_a_crash_mark_that_stands_elsewhere_excuses_nothing(after_n: int) -> None:
    assert faults(ledger(c1=sent_on(1), c2=sent_on(2)), crashed(after_n), after_the_crash())


def test_a_loss_without_its_gap_mark_is_found() -> None:
    kept = on(1, sent_on(1)[:-3])

    assert faults(ledger(c1=sent_on(1)), session(opened(1), *kept, closed(1), END))


def test_a_planned_stop_excuses_nothing() -> None:
    mark = marks.GapOpen("planned_teardown", 0, from_ns=NOON, after_n=11, planned=True)

    assert faults(
        ledger(c1=sent_on(1)), session(opened(1), *on(1, sent_on(1)[:-3]), closed(1), (0, mark), END)
    )


def test_a_gap_of_another_connection_excuses_nothing() -> None:
    items = [opened(1), *on(1, sent_on(1)[:-3]), closed(1), (2, lost(2, 10)), END]

    assert faults(ledger(c1=sent_on(1)), session(*items))


def test_a_gap_of_one_subscription_does_not_excuse_another() -> None:
    frames = sent_on(1)
    kept = frames[:6] + frames[7:]  # a delta is missing, the mark speaks of trades
    items = [*on(1, kept[:7]), (1, lost(1, 6, "sequence_gap", sid=2)), *on(1, kept[7:])]

    assert faults(ledger(c1=frames), session(opened(1), *items, closed(1), END))


# -- dropped for want of room -------------------------------------------------------------------------


def overflowed(*, close_before: int = 12) -> tuple[list[bytes], Archived]:
    """Of one connection's frames every third is dropped from the fourth on, until the gap is closed."""
    frames = sent_on(1)
    items: list[tuple[int, Item]] = [opened(1), *on(1, frames[:3]), (1, lost(1, 4, "buffer_overflow"))]
    for index, frame in enumerate(frames[3:], start=3):
        if index == close_before:
            items.append((1, marks.GapClose(5, NOON)))
        if index % 3:
            items.append((1, frame))
    return frames, session(*items, *[(1, marks.GapClose(5, NOON))] * (close_before > 11), closed(1), END)


def test_frames_dropped_inside_an_overflow_are_disclosed() -> None:
    frames, archive = overflowed()

    verdict = judge_archive(ledger(c1=frames), [archive])

    assert (verdict.faults, verdict.disclosed) == ([], 3)


def test_a_frame_dropped_after_the_overflow_is_found() -> None:
    frames, archive = overflowed(close_before=8)

    assert len(faults(ledger(c1=frames), archive)) == 1


@pytest.mark.parametrize(("lost_frames", "last_n", "count"), [(2, 6, 0), (3, 6, 1), (2, 7, 1)])
def test_what_a_damaged_log_lost_is_disclosed_up_to_the_number_that_its_mark_names(
    lost_frames: int, last_n: int, count: int
) -> None:
    sent = sent_on(1)
    hole = marks.GapOpen("capture_loss", 0, NOON, 4, detail={"last_n": last_n})
    items: list[tuple[int, Item]] = [(0, hole), (0, marks.Tick(0))]
    left = [*on(1, sent[:3]), *items, *on(1, sent[3 + lost_frames :])]

    assert len(faults(ledger(c1=sent), session(opened(1), *left, closed(1), END))) == count

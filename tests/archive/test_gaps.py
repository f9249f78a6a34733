from datetime import date

from archive.gaps import Loss, by_day, losses
from archive.session_marks import SessionMark
from registry.calendar import midnight_ns
from streaming import marks

SECOND = 10**9
MIDNIGHT = midnight_ns(date(2025, 12, 15))


def opened(session: str, n: int, at: int, cause: str = "connection_lost") -> SessionMark:
    gap = marks.GapOpen(cause=cause, connection=1, from_ns=at, after_n=n - 1)
    return SessionMark(session, n, at, gap)


def ended(session: str, n: int, at: int) -> SessionMark:
    return SessionMark(session, n, at, marks.SessionEnd(reason="process_crash"))


def ready(session: str, n: int, at: int) -> SessionMark:
    return SessionMark(session, n, at, marks.ConnectionReady(connection=1, tickers=1))


def closed(session: str, n: int, gap: int, at: int) -> SessionMark:
    return SessionMark(session, n, at, marks.GapClose(gap=gap, to_ns=at))


def loss(start_ns: int, end_ns: int | None) -> Loss:
    mark = marks.GapOpen(cause="connection_lost", connection=1, from_ns=start_ns, after_n=1)
    return Loss("s", 2, start_ns, end_ns, mark)


def test_a_gap_goes_on_until_its_close() -> None:
    [open_] = losses([opened("a", 5, 100)])
    [over] = losses([opened("a", 5, 100), closed("a", 9, 5, 300)])

    assert open_.end_ns is None
    assert (over.start_ns, over.end_ns, over.number) == (100, 300, 5)


def test_the_order_in_which_marks_become_known_does_not_matter() -> None:
    known = [opened("a", 5, 100, "process_crash"), ended("a", 6, 101), ready("b", 3, 400), ready("b", 9, 900)]

    assert losses(known) == losses(known[::-1])


def test_a_crash_ends_when_the_next_session_is_ready() -> None:
    known = [ready("a", 2, 50), opened("a", 5, 100, "process_crash"), ended("a", 6, 101)]

    [before] = losses(known)
    [after] = losses([*known, ready("b", 3, 400), ready("b", 9, 900)])

    assert before.end_ns is None
    assert after.end_ns == 400


def test_what_a_dead_session_left_open_ends_with_the_next_one_too() -> None:
    known = [
        opened("a", 5, 100),
        opened("a", 8, 200, "process_crash"),
        ended("a", 9, 201),
        ready("b", 3, 400),
    ]

    assert [found.end_ns for found in losses(known)] == [400, 400]


def test_another_sessions_readiness_does_not_close_a_living_sessions_gap() -> None:
    [found] = losses([opened("a", 5, 100), ready("b", 3, 400)])

    assert found.end_ns is None


def test_a_gap_never_ends_before_it_begins() -> None:
    [found] = losses([opened("a", 5, 100), closed("a", 9, 5, 90)])

    assert found.end_ns == 100


def test_a_gap_over_midnight_is_one_row_a_day() -> None:
    rows = list(by_day(loss(MIDNIGHT - SECOND, MIDNIGHT + SECOND), today=date(2025, 12, 20)))

    assert rows == [
        (date(2025, 12, 14), MIDNIGHT - SECOND, MIDNIGHT),
        (date(2025, 12, 15), MIDNIGHT, MIDNIGHT + SECOND),
    ]


def test_an_open_gap_reaches_to_today_and_only_its_last_day_is_open() -> None:
    rows = list(by_day(loss(MIDNIGHT - SECOND, None), today=date(2025, 12, 16)))

    assert [(row.on.day, row.end_ns is None) for row in rows] == [(14, False), (15, False), (16, True)]


def test_a_gap_that_ends_at_midnight_has_no_row_of_no_length() -> None:
    assert len(list(by_day(loss(MIDNIGHT - SECOND, MIDNIGHT), today=date(2025, 12, 16)))) == 1
    assert len(list(by_day(loss(MIDNIGHT, MIDNIGHT), today=date(2025, 12, 16)))) == 1


def stopped(session: str, n: int, at: int) -> list[SessionMark]:
    gap = marks.GapOpen(cause="planned_teardown", connection=0, from_ns=at, after_n=n - 1, planned=True)
    return [
        SessionMark(session, n, at, gap),
        SessionMark(session, n + 1, at + 1, marks.SessionEnd("stopped")),
    ]


def over(session: str, n: int, at: int) -> SessionMark:
    return SessionMark(session, n, at, marks.ConnectionClose(connection=1, code=1000, reason=""))


def test_a_stop_while_another_session_is_ready_loses_no_time() -> None:
    known = [ready("a", 2, 50), ready("b", 2, 80), *stopped("a", 9, 100)]

    [found] = losses(known)

    assert (found.start_ns, found.end_ns) == (100, 100)


def test_a_session_that_is_not_ready_any_more_ends_no_gap() -> None:
    known = [
        ready("a", 2, 50),
        ready("b", 2, 80),
        over("b", 5, 90),
        *stopped("a", 9, 100),
        ready("b", 7, 130),
    ]

    [found] = losses(known)

    assert found.end_ns == 130


def test_a_planned_stop_begins_where_the_last_connection_ended() -> None:
    [found] = losses([ready("a", 2, 50), over("a", 5, 90), *stopped("a", 9, 100)])

    assert found.start_ns == 90


def test_what_was_lost_before_a_planned_stop_ends_with_it() -> None:
    known = [
        ready("a", 2, 50),
        opened("a", 5, 70),
        over("a", 6, 75),
        *stopped("a", 9, 100),
        ready("b", 3, 400),
    ]

    lost, stop = losses(known)

    assert (lost.start_ns, lost.end_ns) == (70, 100)
    assert (stop.start_ns, stop.end_ns) == (100, 400)


def healed(n: int, gap: int, trades: int, session: str = "") -> SessionMark:
    return SessionMark("a", n, 500, marks.GapHealed(gap=gap, trades=trades, session=session))


def test_a_loss_knows_how_many_trades_rest_told_of_it() -> None:
    [one] = losses([opened("a", 5, 100), closed("a", 6, 5, 300), healed(7, 5, 12)])

    assert (one.healed, one.is_healed) == (12, False)


def test_a_loss_of_trades_alone_is_healed_by_them() -> None:
    gap = marks.GapOpen("sequence_gap", 1, 100, 4, sid=2, channel="trade", healable=True)

    [one] = losses([SessionMark("a", 5, 100, gap), closed("a", 6, 5, 300), healed(7, 5, 3)])

    assert one.is_healed


def test_what_is_healed_of_another_session_is_none_of_ours() -> None:
    [one] = losses([opened("a", 5, 100), closed("a", 6, 5, 300), healed(7, 5, 12, session="b")])

    assert one.healed is None

from streaming.kalshi.books_due import WITHIN_NS, BooksDue, Late
from streaming.kalshi.pending import TRIES


def test_a_book_is_late_when_its_time_is_over_and_not_before() -> None:
    due = BooksDue()
    due.ask(["A"], 0)

    assert due.late(WITHIN_NS) == Late([], [])
    assert due.late(WITHIN_NS + 1) == Late(["A"], [])


def test_a_book_that_was_asked_for_too_often_is_hopeless_and_no_longer_awaited() -> None:
    due, now_ns = BooksDue(), 0
    due.ask(["A"], now_ns)
    found = []
    for _ in range(TRIES + 1):
        now_ns += WITHIN_NS + 1
        found.append(due.late(now_ns))

    assert found == [Late(["A"], [])] * TRIES + [Late([], ["A"])]
    assert not due


def test_a_book_that_came_is_never_late() -> None:
    due = BooksDue()
    due.ask(["A", "B"], 0)

    due.drop("A")

    assert list(due) == ["B"]
    assert due.late(WITHIN_NS + 1) == Late(["B"], [])

from streaming.kalshi.audit import ANSWER_WITHIN_NS, EVERY_NS, TRIES, BookAudit

BOOKS = {"A", "B", "C"}


def test_one_book_after_another_is_asked_for() -> None:
    audit, asked = BookAudit(), []
    for turn in range(1, 5):
        asked.append(audit.due(BOOKS, turn * (EVERY_NS + 1)))
        audit.came(asked[-1] or "")

    assert asked == ["A", "B", "C", "A"]


def test_a_book_that_does_not_come_is_asked_for_again_and_then_the_audit_is_in_vain() -> None:
    audit, now_ns = BookAudit(), EVERY_NS + 1
    asked = []
    while not audit.is_in_vain:
        asked.append(audit.due(BOOKS, now_ns))
        now_ns += ANSWER_WITHIN_NS + 1

    assert asked == ["A"] * (TRIES + 1)


def test_a_book_that_nobody_wants_any_more_is_not_waited_for() -> None:
    audit = BookAudit()
    audit.due(BOOKS, EVERY_NS)

    assert audit.due({"B"}, 3 * EVERY_NS) == "B"
    assert not audit.is_in_vain


def test_without_books_nothing_is_asked() -> None:
    assert BookAudit().due(set(), 10 * EVERY_NS) is None

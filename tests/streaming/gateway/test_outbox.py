import pytest

from streaming.gateway.messages import Message
from streaming.gateway.outbox import Outbox


def awake() -> None:
    """Nobody sleeps in these tests."""


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(awake, most_messages=3, most_bytes=100)


def taken(outbox: Outbox) -> list[str]:
    return [message.text for message in iter(outbox.take, None)]


def test_messages_leave_in_order(outbox: Outbox) -> None:
    outbox.put(Message("trade", "1"))
    outbox.put_book("A", Message("orderbook", "2"))
    outbox.put(Message("trade", "3"))

    assert taken(outbox) == ["1", "2", "3"]


def test_of_a_book_that_waits_only_the_newest_state_is_sent(outbox: Outbox) -> None:
    for text in ("A1", "A2", "A3"):
        outbox.put_book("A", Message("orderbook", text))
    outbox.put_book("B", Message("orderbook", "B1"))

    assert taken(outbox) == ["A3", "B1"]
    assert outbox.conflated == 2


def test_books_never_make_a_client_too_slow(outbox: Outbox) -> None:
    for number in range(50):
        outbox.put_book(f"M{number}", Message("orderbook", "x" * 50))

    assert not outbox.has_overflowed


def test_one_trade_too_many_counts_all_that_is_not_sent(outbox: Outbox) -> None:
    outbox.put_book("A", Message("orderbook", "book"))
    for number in range(6):
        outbox.put(Message("trade", str(number)))

    assert outbox.has_overflowed
    assert outbox.unsent == {"trade": 6}
    assert taken(outbox) == []


def test_text_beyond_the_limit_overflows_too(outbox: Outbox) -> None:
    outbox.put(Message("gap", "x" * 101))

    assert outbox.unsent == {"gap": 1}


def test_what_was_sent_makes_room(outbox: Outbox) -> None:
    for number in range(20):
        outbox.put(Message("trade", "x" * 60 + str(number)))
        outbox.take()

    assert not outbox.has_overflowed


def test_a_book_no_longer_wanted_is_not_sent(outbox: Outbox) -> None:
    outbox.put_book("A", Message("orderbook", "A"))

    outbox.forget_book("A")

    assert taken(outbox) == []

import json
from typing import Any

from streaming.gateway.live_book import LiveBook


def shown(book: LiveBook) -> Any:
    return json.loads(book.message().text)


def loaded(make: Any, *, bids: dict[int, int]) -> LiveBook:
    book = LiveBook("A")
    book.finish_loading([(10, make.snapshot("A", 1, bids=bids, checkpoint=True))])
    return book


def test_a_book_is_its_checkpoint_and_every_change_after_it(make: Any) -> None:
    book = LiveBook("A")

    book.finish_loading(
        [
            (10, make.snapshot("A", 1, bids={4400: 100}, checkpoint=True)),
            (12, make.delta("A", 2, 4300, 250)),
            (15, make.delta("A", 3, 4400, 0)),
        ]
    )

    assert (shown(book)["bids"], shown(book)["seq"]) == ([[0.43, 2.5]], 15)


def test_what_comes_while_the_past_is_read_is_taken_once(make: Any) -> None:
    book = LiveBook("A")
    book.receive(12, make.delta("A", 2, 4300, 200))
    book.receive(13, make.delta("A", 3, 4300, 300))

    book.finish_loading(
        [
            (10, make.snapshot("A", 1, bids={4400: 100}, checkpoint=True)),
            (12, make.delta("A", 2, 4300, 200)),
        ]
    )

    assert shown(book)["bids"] == [[0.44, 1], [0.43, 3]]
    assert shown(book)["seq"] == 13


def test_without_a_checkpoint_the_book_is_plainly_unknown_until_its_first_snapshot(make: Any) -> None:
    book = LiveBook("A")
    book.finish_loading([])

    assert (shown(book)["type"], shown(book)["state"]) == ("book_state", "unknown")
    assert book.receive(5, make.snapshot("A", 1, bids={4400: 100}))
    assert shown(book)["type"] == "orderbook"


def test_a_checkpoint_that_repeats_what_is_known_is_no_news(make: Any) -> None:
    book = loaded(make, bids={4400: 100})

    assert not book.receive(11, make.snapshot("A", 2, bids={4400: 100}, checkpoint=True))


def test_a_change_without_its_resulting_size_makes_the_book_unknown(make: Any) -> None:
    book = loaded(make, bids={4400: 100})

    assert book.receive(11, make.delta("A", 2, 4400, None))
    assert shown(book)["type"] == "book_state"


def test_a_change_of_another_session_does_not_continue_this_book(make: Any) -> None:
    book = loaded(make, bids={4400: 100})

    book.receive(11, make.delta("A", 2, 4400, 50, session="feed-later-000000"))

    assert not book.is_known


def test_a_loss_makes_the_books_of_its_markets_unknown_where_it_begins(make: Any) -> None:
    ours, other = loaded(make, bids={4400: 100}), loaded(make, bids={4400: 100})

    ours.receive(11, make.gap())
    other.receive(11, make.gap("B"))

    assert (ours.is_known, other.is_known) == (False, True)


def test_the_end_of_a_loss_leaves_the_new_book_alone(make: Any) -> None:
    book = loaded(make, bids={4400: 100})
    book.receive(11, make.gap())
    book.receive(12, make.snapshot("A", 2, bids={4500: 100}))

    book.receive(13, make.gap(ended=True))

    assert shown(book)["bids"] == [[0.45, 1]]


def test_a_message_that_was_in_the_past_already_is_not_taken_again(make: Any) -> None:
    book = loaded(make, bids={4400: 100})

    assert not book.receive(10, make.delta("A", 2, 4400, 900))
    assert shown(book)["bids"] == [[0.44, 1]]

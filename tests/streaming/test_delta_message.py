"""Deltas are written byte by byte; the library must read, and would have written, the same."""

from typing import Any

import pytest
from hypothesis import given

from streaming.delta_message import encode_delta
from streaming.encoding import encode
from streaming.events import BookDelta, BookSide, Origin
from streaming.wire import WireError
from streaming.wire_schema import DELTA, MESSAGES, whole_contracts
from tests.streaming import events as any_of


def by_the_library(event: BookDelta) -> Any:
    """The same message, field by field."""
    message, at, is_bid = MESSAGES.OrderBookUpdate.new_message(), event.origin, event.side is BookSide.BID
    message.timestamp = at.received_ns if event.venue_ns is None else event.venue_ns
    message.ticker, message.marketId, message.kind = event.ticker, event.market_id, DELTA
    message.change = {
        "bookSide": event.side.value, "priceE4": event.price_e4, "deltaE2": event.delta_e2,
        "sizeE2": event.size_e2 or 0, "sizeKnown": event.size_e2 is not None,
    }  # fmt: skip
    message.origin = {
        "session": at.session, "n": at.n, "k": at.k, "receivedNs": at.received_ns, "connection": at.connection,
        "sid": at.sid, "seq": at.seq, "venueTime": event.venue_ns is not None, "sentMs": at.sent_ms,
        "source": at.source.value, "overlap": at.is_overlap,
    }  # fmt: skip
    if event.size_e2 is not None:
        [level] = message.init("bids" if is_bid else "asks", 1)
        level.price, level.size = event.price_e4 / 10_000, whole_contracts(event.size_e2)
        level.priceE4, level.sizeE2 = event.price_e4, event.size_e2
    return message


@given(any_of.deltas)
def test_the_library_reads_every_field_as_it_would_have_written_it(event: BookDelta) -> None:
    expected = by_the_library(event)

    with MESSAGES.OrderBookUpdate.from_bytes(encode_delta(event)) as message:
        assert message.to_dict() == expected.as_reader().to_dict()
        assert message.total_size.word_count == expected.as_reader().total_size.word_count


@given(any_of.deltas)
def test_a_delta_takes_no_more_bytes_than_the_librarys(event: BookDelta) -> None:
    assert len(encode_delta(event)) <= len(by_the_library(event).to_bytes())


def test_the_layout_is_the_schemas() -> None:
    sizes = {
        name: (node.struct.dataWordCount, node.struct.pointerCount)
        for name in ("OrderBookUpdate", "Origin", "LevelChange", "Level")
        for node in [getattr(MESSAGES, name).schema.node]
    }

    assert sizes == {"OrderBookUpdate": (2, 6), "Origin": (7, 1), "LevelChange": (3, 0), "Level": (3, 0)}


@pytest.mark.parametrize(
    "changes",
    [
        {"price_e4": -1}, {"price_e4": 2**32}, {"delta_e2": 2**63}, {"size_e2": -1}, {"size_e2": 2**64},
        {"venue_ns": -1}, {"ticker": "\ud800"}, {"market_id": "\udfff"}, {"origin": Origin("s", -1, 0, 1, 1)},
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_a_wire_error(changes: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"ticker": "A", "price_e4": 1, "delta_e2": 1, "size_e2": 1, "venue_ns": None}
    event = BookDelta(**{"side": BookSide.BID, "origin": Origin("s", 1, 0, 1, 1), **facts, **changes})

    with pytest.raises(WireError):
        encode(event)

from pathlib import Path
from typing import Any

import capnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import wire
from streaming.events import (
    BookDelta,
    BookSnapshot,
    Event,
    GapNotice,
    Level,
    MarketStatus,
    Origin,
    TakerSide,
    Ticker,
    Trade,
)
from streaming.subjects import token_of
from tests.streaming import events as any_of

_v1: Any = capnp.SchemaParser().load(str(Path(wire.SCHEMA_FOLDER) / "market_data.v1.capnp"))
ORIGIN = Origin("s", 1, 0, 1, 1)


@given(any_of.events)
def test_every_event_comes_back_as_it_was(event: Event) -> None:
    assert wire.decode(token_of(event), wire.encode(event)) == event


@given(any_of.trades)
def test_a_v1_reader_reads_every_trade(event: Trade) -> None:
    with _v1.Trade.from_bytes(wire.encode(event)) as old:
        assert (old.ticker, old.tradeId, str(old.side)) == (event.ticker, event.trade_id, event.side.value)
        assert old.price == event.price_e4 / 10_000
        assert old.size == min(-(-event.size_e2 // 100), 2**32 - 1)
        assert old.timestamp == (event.origin.received_ns if event.venue_ns is None else event.venue_ns)


@given(any_of.snapshots | any_of.deltas)
def test_a_v1_reader_reads_every_book_update(event: BookSnapshot | BookDelta) -> None:
    with _v1.OrderBookUpdate.from_bytes(wire.encode(event)) as old:
        assert old.ticker == event.ticker
        read = [(level.price, level.size) for level in (*old.bids, *old.asks)]
    assert read == [(one.price_e4 / 10_000, wire.whole_contracts(one.size_e2)) for one in _levels(event)]


def _levels(event: BookSnapshot | BookDelta) -> list[Level]:
    if isinstance(event, BookSnapshot):
        return [*event.bids, *event.asks]
    return [] if event.size_e2 is None else [Level(event.price_e4, event.size_e2)]


@given(any_of.statuses)
def test_a_v1_reader_reads_every_status_and_knows_the_first_three(event: MarketStatus) -> None:
    with _v1.MarketStatus.from_bytes(wire.encode(event)) as old:
        assert old.ticker == event.ticker
        known = ("open", "closed", "halted")
        assert (old.status.raw < 3) == (event.status.value in known)


def test_half_a_contract_never_reads_as_gone_in_v1() -> None:
    assert [wire.whole_contracts(size) for size in (0, 1, 50, 100, 101)] == [0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    "changes",
    [{"price_e4": -1}, {"size_e2": -1}, {"size_e2": 2**64}, {"ticker": "\ud800"}, {"venue_ns": -1}],
)
def test_a_value_that_does_not_fit_is_a_wire_error(changes: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"ticker": "A", "trade_id": "t", "price_e4": 1, "size_e2": 1, "venue_ns": None}
    event = Trade(**{**facts, **changes}, side=TakerSide.BUY, origin=ORIGIN)

    with pytest.raises(wire.WireError):
        wire.encode(event)


@pytest.mark.parametrize("levels", [10_001, 30_000])
def test_a_book_of_any_size_that_is_written_is_read(levels: int) -> None:
    side = tuple(Level(price % 10_001, 100) for price in range(levels))
    book = BookSnapshot("A", side, side, None, Origin("s", 1, 0, 1, 1))

    assert wire.decode("orderbook", wire.encode(book)) == book


def test_an_unknown_subject_is_a_wire_error() -> None:
    with pytest.raises(wire.WireError):
        wire.decode("secmaster", b"")


@given(st.sampled_from(["trade", "orderbook", "checkpoint", "status", "ticker", "gap"]), st.binary())
def test_arbitrary_bytes_are_an_event_or_a_wire_error(token: str, payload: bytes) -> None:
    _decode_or_refuse(token, payload)


@given(any_of.events, st.data())
def test_a_damaged_message_is_an_event_or_a_wire_error(event: Event, data: st.DataObject) -> None:
    payload = bytearray(wire.encode(event))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))

    _decode_or_refuse(token_of(event), bytes(payload))


def _decode_or_refuse(token: str, payload: bytes) -> None:
    try:
        found = wire.decode(token, payload)
    except wire.WireError:
        return
    assert isinstance(found, Trade | BookSnapshot | BookDelta | MarketStatus | Ticker | GapNotice)

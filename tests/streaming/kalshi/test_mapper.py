import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from streaming import wire
from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    MarketEvent,
    MarketStatus,
    TakerSide,
    Ticker,
    Trade,
)
from streaming.kalshi.mapper import Mapper, Unmappable
from streaming.kalshi.messages import Frame, decode_envelope, decode_frame
from streaming.kalshi.tolerant import read_frame
from tests.streaming.kalshi.frames import (
    delta,
    frame,
    record,
    recorded,
    recordings_of,
    snapshot,
    trade,
)


def mapped(payload: bytes, *, use_yes_price: bool = False) -> MarketEvent | None:
    frame = frame_of(payload)
    if frame is None:
        return None
    return Mapper(session="s", use_yes_price=use_yes_price).map(record(payload, 7), frame)


def frame_of(payload: bytes) -> Frame | None:
    """The frame as the normalizer reads it: at once, or field by field."""
    try:
        return decode_frame(payload)
    except ValueError:
        read = read_frame(decode_envelope(payload))
        return read[0] if read else None


def test_a_trade_is_told_with_its_exact_price_and_size() -> None:
    event = mapped(trade("A", 5, is_block_trade=True))

    assert isinstance(event, Trade)
    assert (event.ticker, event.trade_id, event.price_e4, event.size_e2) == ("A", "t5", 5400, 912)
    assert (event.side, event.is_block, event.venue_ns) == (TakerSide.BUY, True, 1786401938602_000000)
    assert (event.origin.identity, event.origin.sid, event.origin.seq) == ("s.7.0", 2, 5)


def test_a_taker_of_no_sells() -> None:
    event = mapped(trade("A", 5, taker_outcome_side="no"))

    assert isinstance(event, Trade)
    assert (event.side, event.price_e4) == (TakerSide.SELL, 5400)


def test_the_older_name_of_the_takers_side_is_read() -> None:
    event = mapped(trade("A", 5, taker_outcome_side="", taker_side="no"))

    assert isinstance(event, Trade)
    assert event.side is TakerSide.SELL


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"ts_ms": None, "ts": 1786401938}, 1786401938_000000000),
        ({"ts_ms": None}, None),
        ({"ts_ms": None, "ts": "2026-08-11T01:15:15.25Z"}, 1786410915_250000000),
        ({"ts_ms": None, "ts": "yesterday"}, None),
        ({"ts_ms": -1, "ts": 1786401938}, 1786401938_000000000),
        ({"ts_ms": 10**15}, None),
        ({"ts": "2026-08-11T01:15:15Z"}, 1786401938602_000000),
        ({"ts_ms": None, "ts": -1}, None),
    ],
)
def test_a_trades_time_is_the_venues_or_none(fields: dict[str, Any], expected: int | None) -> None:
    event = mapped(trade("A", 5, **fields))

    assert isinstance(event, Trade)
    assert event.venue_ns == expected


def test_no_bids_are_asks_on_the_yes_scale() -> None:
    event = mapped(snapshot("A", 1, yes=[["0.4700", "3.00"]], no=[["0.4800", "2.00"]]))

    assert isinstance(event, BookSnapshot)
    assert [(one.price_e4, one.size_e2) for one in event.bids] == [(4700, 300)]
    assert [(one.price_e4, one.size_e2) for one in event.asks] == [(5200, 200)]


def test_with_use_yes_price_no_bids_are_on_the_yes_scale_already() -> None:
    event = mapped(snapshot("A", 1, no=[["0.5200", "1.00"]]), use_yes_price=True)

    assert isinstance(event, BookSnapshot)
    assert [one.price_e4 for one in event.asks] == [5200]


def test_an_absent_side_is_empty() -> None:
    event = mapped(snapshot("A", 1))

    assert isinstance(event, BookSnapshot)
    assert (event.bids, event.asks) == ((), ())


def test_best_levels_come_first() -> None:
    levels = [["0.1000", "1.00"], ["0.4000", "1.00"]]
    event = mapped(snapshot("A", 1, yes=levels, no=levels))

    assert isinstance(event, BookSnapshot)
    assert [one.price_e4 for one in event.bids] == [4000, 1000]
    assert [one.price_e4 for one in event.asks] == [6000, 9000]


def test_a_delta_says_what_changed_and_nothing_more() -> None:
    event = mapped(delta("A", 2, price="0.4800", change="-40.00", side="no"))

    assert isinstance(event, BookDelta)
    assert (event.side, event.price_e4, event.delta_e2) == (BookSide.ASK, 5200, -4000)
    assert event.size_e2 is None


def ticker_frame(**fields: str) -> bytes:
    body = {
        "market_ticker": "A", "price_dollars": "0.9990", "yes_bid_dollars": "0.0000",
        "yes_ask_dollars": "1.0000", "yes_bid_size_fp": "0.00", "yes_ask_size_fp": "0.00",
        "last_trade_size_fp": "0.11", "volume_fp": "2233487.48", "open_interest_fp": "618700.14",
        "ts_ms": 1784475900544,
    }  # fmt: skip
    return frame("ticker", msg={**body, **fields})


def test_prices_that_are_not_there_are_none() -> None:
    event = mapped(ticker_frame())

    assert isinstance(event, Ticker)
    assert (event.last_e4, event.bid_e4, event.ask_e4) == (9990, None, None)
    assert (event.volume_e2, event.open_interest_e2, event.last_size_e2) == (223348748, 61870014, 11)


def test_an_ask_of_one_dollar_with_a_size_is_an_ask() -> None:
    event = mapped(ticker_frame(yes_ask_size_fp="5.00", price_dollars=""))

    assert isinstance(event, Ticker)
    assert (event.ask_e4, event.last_e4) == (10_000, None)


@pytest.mark.parametrize("kind", ["subscribed", "ok", "error", "event_lifecycle", "fill", "brand_new"])
def test_frames_of_other_types_hold_no_event(kind: str) -> None:
    assert mapped(frame(kind, msg={})) is None


BAD: list[bytes] = [
    trade("A", 1, yes_price_dollars="1.0001"),
    trade("A", 1, yes_price_dollars="-0.5000"),
    trade("A", 1, yes_price_dollars=0.54, no_price_dollars=0.46),
    trade("A", 1, yes_price_dollars="0.54321"),
    trade("A", 1, count_fp="-1.00"),
    trade("A", 1, count_fp="99999999999999999999.00"),
    trade("A", 1, taker_outcome_side="maybe"),
    trade("A", 1, taker_outcome_side=""),
    trade("", 1),
    trade("A" * 201, 1),
    trade("A", 1, trade_id="x" * 2_000_000),
    frame("trade", msg={}),
    frame("trade", msg=None),
    frame("trade", msg=[]),
    b'{"type":"trade","msg":{"market_ticker":"A","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    snapshot("A", 1, yes=[["0.4", "-1"]]),
    snapshot("A", 1, yes=[["1.4", "1"]]),
    snapshot("A", 1, yes=[["0.4"]]),
    snapshot("A", 1, yes="levels"),
    delta("A", 1, side="both"),
    delta("A", 1, change="NaN"),
    delta("A" * 5000, 1),
]


@pytest.mark.parametrize("payload", BAD, ids=range(len(BAD)))
def test_a_frame_of_a_known_type_that_is_not_as_it_should_be_is_refused(payload: bytes) -> None:
    with pytest.raises((Unmappable, ValueError)):
        mapped(payload)


def _e(text: str, scale: int) -> int:
    number = Decimal(text) * scale
    assert number == int(number)
    return int(number)


def _independent(body: dict[str, Any], kind: str, is_yes_scale: bool) -> dict[str, Any]:
    """What a frame says, read the slow way."""

    def ask(price: str) -> int:
        return _e(price, 10_000) if is_yes_scale else _e(str(1 - Decimal(price)), 10_000)

    if kind == "trade":
        side = "buy" if body["taker_side"] == "yes" else "sell"
        return {
            "price": _e(body["yes_price_dollars"], 10_000),
            "size": _e(body["count_fp"], 100),
            "side": side,
        }
    if kind == "orderbook_delta":
        is_yes = body["side"] == "yes"
        price = _e(body["price_dollars"], 10_000) if is_yes else ask(body["price_dollars"])
        return {"price": price, "size": _e(body["delta_fp"], 100), "side": "bid" if is_yes else "ask"}
    yes, no = body.get("yes_dollars_fp", []), body.get("no_dollars_fp", [])
    return {
        "bids": {_e(price, 10_000): _e(size, 100) for price, size in yes},
        "asks": {ask(price): _e(size, 100) for price, size in no},
    }


def _ours(event: MarketEvent) -> dict[str, Any]:
    match event:
        case Trade():
            return {"price": event.price_e4, "size": event.size_e2, "side": event.side.value}
        case BookDelta():
            return {"price": event.price_e4, "size": event.delta_e2, "side": event.side.value}
        case BookSnapshot():
            bids = {one.price_e4: one.size_e2 for one in event.bids}
            return {"bids": bids, "asks": {one.price_e4: one.size_e2 for one in event.asks}}
    raise AssertionError(event)


@pytest.mark.slow
def test_every_recorded_frame_is_read_exactly(recordings: Path) -> None:
    checked: dict[str, int] = {}
    for name, is_yes_scale in recordings_of(recordings):
        mapper = Mapper(session="s", use_yes_price=is_yes_scale)
        for payload in recorded(recordings / name):
            outer = json.loads(payload)
            frame = frame_of(payload)
            if frame is None:
                assert outer["type"] in ("subscribed", "ok"), outer
                continue
            event = mapper.map(record(payload), frame)
            body = outer["msg"]
            assert _ours(event) == _independent(body, outer["type"], is_yes_scale), (name, outer)
            assert event.ticker == body["market_ticker"]
            assert (event.origin.sid, event.origin.seq) == (outer["sid"], outer.get("seq", 0))
            assert event.venue_ns == (body["ts_ms"] * 10**6 if "ts_ms" in body else None)
            checked[outer["type"]] = checked.get(outer["type"], 0) + 1
            if checked[outer["type"]] % 50 == 0:
                assert wire.decode(_TOKENS[outer["type"]], wire.encode(event)) == event
    assert all(checked[kind] > 20 for kind in _TOKENS), checked


_TOKENS = {"trade": "trade", "orderbook_delta": "orderbook", "orderbook_snapshot": "orderbook"}


def test_the_only_recorded_book_on_the_yes_scale_is_not_crossed(recordings: Path) -> None:
    path = recordings / "fortuna_demo/ws__orderbook_trade_yes.jsonl"
    events = [mapped(payload, use_yes_price=True) for payload in recorded(path)]

    [book] = [event for event in events if isinstance(event, BookSnapshot)]
    assert (book.bids[0].price_e4, book.asks[0].price_e4) == (4700, 5200)


def test_recorded_lifecycle_and_ticker_frames_are_read(recordings: Path) -> None:
    names = ["ssmd/kalshi_ws_market_lifecycle_v2.jsonl", "ssmd/kalshi_ws_ticker.jsonl"]
    frames = [payload for name in names for payload in recorded(recordings / name)]

    kinds = {type(mapped(payload)) for payload in frames}
    assert kinds <= {MarketStatus, Ticker}

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.events import Level
from streaming.gateway import messages


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(4500, 4, "0.45"), (10_000, 4, "1"), (1, 4, "0.0001"), (1350, 2, "13.5"), (1000, 2, "10"), (0, 2, "0")],
)
def test_numbers_are_the_shortest_exact_decimals(value: int, places: int, text: str) -> None:
    assert messages.decimal(value, places) == text


@given(value=st.integers(-(10**18), 10**18), places=st.integers(1, 8))
def test_a_decimal_is_exactly_its_integer(value: int, places: int) -> None:
    assert Decimal(messages.decimal(value, places)).scaleb(places) == value


def test_a_trade_has_exactly_the_designs_keys_and_some_more(make: Any) -> None:
    message = messages.trade(make.trade('A"B', 7), seq=12)

    trade = json.loads(message.text)
    assert {key: trade[key] for key in ("type", "ticker", "price", "size", "side", "ts")} == {
        "type": "trade",
        "ticker": 'A"B',
        "price": 0.45,
        "size": 13.5,
        "side": "buy",
        "ts": 1_702_540_800_000,
    }
    assert (trade["seq"], trade["id"]) == (12, make.origin(7).identity)
    assert '"price":0.45,"size":13.5,' in message.text


def test_a_book_is_lists_of_price_and_size_and_takes_the_receive_time_where_the_venue_gave_none(
    make: Any,
) -> None:
    message = messages.orderbook(
        "A",
        bids=(Level(4400, 10_000),),
        asks=(Level(4600, 15_050),),
        venue_ns=None,
        origin=make.origin(5),
        seq=3,
    )

    assert '"bids":[[0.44,100]],"asks":[[0.46,150.5]],"ts":1700000000000,' in message.text
    assert json.loads(message.text)["type"] == "orderbook"

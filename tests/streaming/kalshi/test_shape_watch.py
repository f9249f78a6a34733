import json
from typing import Any

import pytest

from streaming.kalshi.shape_watch import EVERY, MOST_TOLD, ShapeWatch
from tests.streaming.kalshi.frames import delta, frame, trade


def with_field(payload: bytes, **fields: Any) -> bytes:
    outer = json.loads(payload)
    outer["msg"] |= fields
    return json.dumps(outer).encode()


def test_the_first_unknown_field_is_told_and_only_once() -> None:
    watch = ShapeWatch()
    for seq in range(1, 2 * EVERY):
        assert watch.look("trade", trade("A", seq)) == []

    assert watch.look("trade", with_field(trade("A", 900), venue_fee="0.01")) == ["trade.venue_fee"]
    assert watch.look("trade", with_field(trade("A", 901), venue_fee="0.01")) == []


def test_an_unknown_type_is_told() -> None:
    assert ShapeWatch().look("auction", frame("auction", sid=1, seq=1)) == ["unknown type auction"]


def test_a_field_beside_the_message_is_told() -> None:
    payload = json.dumps({**json.loads(delta("A", 1)), "shard": 3}).encode()

    assert ShapeWatch().look("orderbook_delta", payload) == ["orderbook_delta: shard"]


def test_a_second_unknown_field_of_the_same_shape_is_told_too() -> None:
    watch = ShapeWatch()
    watch.look("trade", with_field(trade("A", 1), one=1))

    assert watch.look("trade", with_field(trade("A", 2), two=1)) == ["trade.two"]


def test_a_field_that_was_only_renamed_is_found_within_a_few_frames() -> None:
    watch = ShapeWatch()
    found: list[str] = []
    for seq in range(1, 2 * EVERY):
        outer = json.loads(trade("A", seq))
        if seq > 3:
            outer["msg"]["block"] = outer["msg"].pop("is_block_trade", False)
        found += watch.look("trade", json.dumps(outer).encode())

    assert found == ["trade.block"]


@pytest.mark.parametrize("payload", [b"", b"null", b"[1]", b'{"type":"trade","msg":3}', b"{", b"\xff"])
def test_what_is_no_frame_is_told_by_others(payload: bytes) -> None:
    assert ShapeWatch().look("trade", payload) == []


def test_a_venue_that_invents_names_for_ever_is_not_followed() -> None:
    watch = ShapeWatch()
    told = [watch.look(f"t{n}", b'{"type":"t"}') for n in range(5 * MOST_TOLD)]

    assert sum(map(len, told)) == MOST_TOLD

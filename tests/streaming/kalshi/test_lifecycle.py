from typing import Any

import pytest

from streaming.events import MarketStatus, Status
from streaming.issues import IssueKind
from streaming.kalshi.normalizer import Normalizer
from tests.streaming.kalshi.frames import lifecycle, record


def mapped(payload: bytes) -> MarketStatus:
    [event] = Normalizer("s").apply(record(payload))
    assert isinstance(event, MarketStatus)
    return event


@pytest.mark.parametrize(
    ("event_type", "fields", "status"),
    [
        ("created", {"open_ts": 1, "close_ts": 2}, Status.CREATED),
        ("activated", {"is_deactivated": False}, Status.OPEN),
        ("deactivated", {"is_deactivated": True}, Status.HALTED),
        ("activated", {}, Status.OPEN),
        ("deactivated", {}, Status.HALTED),
        ("fractional_trading_updated", {}, Status.CHANGED),
        ("close_date_updated", {"close_ts": 3}, Status.CHANGED),
        ("determined", {"result": "yes", "settlement_value": "1.0000"}, Status.DETERMINED),
        ("settled", {"settled_ts": 4}, Status.SETTLED),
        ("metadata_updated", {"floor_strike": 1.5}, Status.CHANGED),
        ("price_level_structure_updated", {}, Status.CHANGED),
        ("something_new", {"x": [1]}, Status.UNKNOWN),
    ],
)
def test_every_lifecycle_event_has_its_status(
    event_type: str, fields: dict[str, Any], status: Status
) -> None:
    event = mapped(lifecycle("A", event_type, **fields))

    assert (event.status, event.venue_event) == (status, event_type)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.0000", 0),
        ("1.0000", 10_000),
        (1, 10_000),
        (0.5, 5000),
        (None, None),
        ("new", None),
        ({}, None),
        ("-1", None),
        ("7.5000", None),
        ("999999999999999.9999", None),
        (10**15 - 1, None),
    ],
)
def test_a_settlement_value_that_cannot_be_read_hides_nothing_else(value: Any, expected: int | None) -> None:
    event = mapped(lifecycle("A", "determined", determination_ts=9, result="no", settlement_value=value))

    assert (event.settlement_e4, event.result, event.venue_ns) == (expected, "no", 9_000_000_000)


@pytest.mark.parametrize("value", ["7.5000", "-1", 10**15 - 1, "0.00001"])
def test_a_settlement_value_that_no_contract_has_is_off_the_grid(value: Any) -> None:
    normalizer = Normalizer("s")
    normalizer.apply(record(lifecycle("A", "determined", settlement_value=value)))

    assert [issue.kind for issue in normalizer.issues] == [IssueKind.OFF_GRID_PRICE]

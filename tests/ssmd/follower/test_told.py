"""From the bus's words to the security master's."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ssmd.market_told import is_combination, told_of
from streaming import wire
from streaming.events import MarketStatus, Origin, Status

ORIGIN = Origin("kalshi-1", 7, 0, 1_786_449_600_123_456_789, 1)


def event(**changes: object) -> bytes:
    plain = {"ticker": "KXA-E-1", "status": Status.DETERMINED, "venue_ns": None, "origin": ORIGIN}
    return wire.encode(MarketStatus(**{**plain, **changes}))  # type: ignore[arg-type]


def test_an_event_keeps_its_identity_its_times_and_its_outcome() -> None:
    told = told_of(
        event(venue_ns=1_786_449_600_000_000_000, result="yes", settlement_e4=5_600, close_ns=10**18),
        stored_ns=1,
        identity="x",
    )

    assert (told.kind, told.cause, told.result) == ("determined", "kalshi-1.7.0", "yes")
    assert told.received_at == datetime(2026, 8, 11, 12, 0, 0, 123_456, tzinfo=UTC)
    assert told.at == told.said_at == datetime(2026, 8, 11, 12, tzinfo=UTC)
    assert told.settlement_value == Decimal("0.5600")
    assert told.open_time is None


@pytest.mark.parametrize("details", ["", "{", "[1]", '{"a": NaN}', "[" * 100_000])
def test_details_that_are_no_object_are_none(details: str) -> None:
    assert told_of(event(details=details), stored_ns=1, identity="x").details == {}


@pytest.mark.parametrize("ticker", ["", "X" * 201])
def test_a_ticker_that_cannot_be_kept_is_refused(ticker: str) -> None:
    with pytest.raises(ValueError, match="no market"):
        told_of(event(ticker=ticker), stored_ns=1, identity="x")


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(ValueError):
        told_of(b"no message", stored_ns=1, identity="x")


def test_users_combinations_are_told_apart() -> None:
    assert is_combination(told_of(event(ticker="KXMVE-1"), stored_ns=1, identity="x"))
    assert not is_combination(told_of(event(), stored_ns=1, identity="x"))

"""A lifecycle event of the bus in the words of the security master. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from secmaster.lifecycle import COMBINATION, Told
from secmaster.listing import LONGEST_TICKER
from streaming import wire
from streaming.events import GapNotice, MarketStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def told_of(payload: bytes, *, stored_ns: int, identity: str) -> Told:
    """What the message says; raises ValueError (WireError) or OverflowError where it cannot be taken in."""
    event = wire.decode("status", payload)
    if not isinstance(event, MarketStatus) or not 0 < len(event.ticker) <= LONGEST_TICKER:
        raise ValueError("it names no market that can be kept")
    return Told(
        ticker=event.ticker,
        kind=event.status.value,
        received_at=moment(event.origin.received_ns or stored_ns),
        cause=(event.origin.identity if event.origin.session else identity)[:200],
        said_at=_moment_or_none(event.venue_ns),
        by_clock=event.by_clock,
        result=event.result,
        settlement_value=None if event.settlement_e4 is None else Decimal(event.settlement_e4).scaleb(-4),
        open_time=_moment_or_none(event.open_ns),
        close_time=_moment_or_none(event.close_ns),
        details=_details(event.details),
    )


def hides_events(payload: bytes) -> bool:
    """Whether this gap is over now and may have swallowed lifecycle events; raises ValueError where it cannot be read."""
    gap = wire.decode("gap", payload)
    if not isinstance(gap, GapNotice) or gap.to_ns is None:
        return False
    return not gap.tickers and gap.channel in ("", "lifecycle")


def is_combination(told: Told) -> bool:
    """Whether users made it of other markets: there are too many, and no sync lists them."""
    return told.ticker.startswith(COMBINATION)


def session_of(identity: str) -> str:
    """The session in `<session>.<n>.<k>`; empty where it is no identity of a connector's."""
    session, _, rest = identity.partition(".")
    return session if rest else ""


def moment(ns: int) -> datetime:
    """Unix nanoseconds as an instant."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def _moment_or_none(ns: int | None) -> datetime | None:
    return None if ns is None else moment(ns)


def _details(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text, parse_constant=_refuse) if text else {}
    except (ValueError, RecursionError):  # the event's own fields say what matters
        return {}
    return found if isinstance(found, dict) else {}


def _refuse(constant: str) -> Any:
    """NaN and its like are no JSON, and no database keeps them."""
    raise ValueError(constant)

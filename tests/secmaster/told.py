"""What was told of a market, for tests."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from secmaster.lifecycle import READS, Told
from secmaster.position import Stand

TICKER = "KXGOLD15M-26AUG102130-30"
NOON = datetime(2026, 8, 11, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def told(kind: str, seconds: float = 0, *, ticker: str = TICKER, **changes: Any) -> Told:
    """An event that was received so many seconds after noon."""
    return Told(ticker, kind, at(seconds), f"kalshi-sim.{kind}.{seconds}", **changes)


def created(seconds: float = 0, *, ticker: str = TICKER, **about: Any) -> Told:
    """A new market as the venue announces it: it opens at +60 s and closes at +360 s."""
    event = ticker.rpartition("-")[0]
    metadata = {"event_ticker": event, "title": "Gold up?", "strike_type": "greater_or_equal", **about}
    details = {"event_type": "created", "additional_metadata": metadata, "price_level_structure": "deci_cent"}
    return told(
        "created", seconds, ticker=ticker, open_time=at(60), close_time=at(360), details=details
    )  # fmt: skip


def determined(seconds: float = 0, *, result: str = "yes", **changes: Any) -> Told:
    """The outcome; the venue states its time in whole seconds."""
    value = Decimal("1.0000") if result == "yes" else Decimal("0.0000")
    return told(
        "determined", seconds, said_at=at(int(seconds)), result=result, settlement_value=value, **changes
    )


def known(**columns: Any) -> dict[str, Any]:
    """What is known of a market: nothing, but for these columns."""
    nothing = dict.fromkeys(READS) | {"status": "initialized", "title": TICKER, "strike_type": ""}
    return {**nothing, **columns}


def stand(seq: int, **changes: Any) -> Stand:
    """A position in the test's stream."""
    return Stand("ssmd-kalshi-sim", NOON, seq, **{"read_at": NOON, **changes})

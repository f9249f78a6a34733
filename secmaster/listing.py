"""A market as the venue's REST API lists it, as the columns of `markets`. Pure."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

# All statuses of the venue (kalshi.md 4.3), each said: a guess for a new one once hid 2,700 markets.
STATUSES = frozenset(
    {"initialized", "inactive", "active", "closed", "determined", "disputed", "amended", "finalized"}
)
LONGEST_TICKER = 200
_STRIKE_STEP, _MOST_STRIKE = Decimal("0.00000001"), Decimal(10) ** 16
_CENT_HUNDREDTH, _MOST_DOLLARS = Decimal("0.0001"), Decimal(10) ** 8
# Trading figures change with every trade; they are in the archive, not in the description.
_TRADING = ("bid", "ask", "last_price", "previous_", "volume", "open_interest", "liquidity")


def why_not_kept(row: Mapping[str, Any]) -> str:
    """Why this row cannot become a market; empty when it can."""
    ticker, status = row.get("ticker"), row.get("status")
    if not isinstance(ticker, str) or not 0 < len(ticker) <= LONGEST_TICKER:
        return "ticker missing or longer than 200 characters"
    return "" if status in STATUSES else f"unknown status {status!r}"


def columns(row: Mapping[str, Any], category_of: Mapping[str, str]) -> dict[str, Any]:
    """The columns that follow from the venue's row; `category_of` is asked by series."""
    event = str(row.get("event_ticker") or "")
    series = str(row.get("series_ticker") or event.split("-", 1)[0])
    return {
        "kalshi_id": str(row.get("market_id") or row.get("id") or row["ticker"]),
        "event_ticker": event,
        "series_ticker": series,
        "title": str(row.get("title") or row.get("yes_sub_title") or row["ticker"]),
        "category": row.get("category") or category_of.get(series),
        "status": row["status"],
        "open_time": moment(row.get("open_time")),
        "close_time": moment(row.get("close_time")),
        "expiration_time": moment(row.get("latest_expiration_time") or row.get("expiration_time")),
        "settlement_time": moment(row.get("expected_expiration_time")),
        "strike_type": str(row.get("strike_type") or ""),
        "floor_strike": strike(row.get("floor_strike")),
        "cap_strike": strike(row.get("cap_strike")),
        "result": row.get("result") or None,
        "settlement_value": dollars(row.get("settlement_value_dollars")),
        "settled_at": moment(row.get("settlement_ts")),
        "raw_metadata": {key: value for key, value in row.items() if not _is_trading(key)},
    }


def moment(text: object) -> datetime | None:
    """RFC 3339 as an instant; the venue's zero time, year 1, is none."""
    if not isinstance(text, str) or not text:
        return None
    parsed = datetime.fromisoformat(text)
    return parsed if parsed.year > 1 else None


def as_text(value: object) -> str | None:
    """A column's value as `market_history` keeps it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, sort_keys=True, default=str)


def difference(old: object, new: object) -> tuple[str | None, str | None]:
    """Old and new as texts; of two mappings only the keys that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        changed = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        return tuple(
            as_text({key: side[key] for key in sorted(changed) if key in side}) for side in (old, new)
        )  # type: ignore[return-value]
    return as_text(old), as_text(new)


def strike(value: object) -> Decimal | None:
    """A strike as its column keeps it; None for what is no number: that stays readable in raw_metadata."""
    return _exact(value, _STRIKE_STEP, most=_MOST_STRIKE)


def dollars(value: object) -> Decimal | None:
    """A settlement value as its column keeps it."""
    return _exact(value, _CENT_HUNDREDTH, most=_MOST_DOLLARS)


def _exact(value: object, step: Decimal, *, most: Decimal) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        exact = Decimal(str(value)).quantize(step)
    except InvalidOperation:
        return None
    return exact if exact.is_finite() and abs(exact) < most else None


def _is_trading(key: str) -> bool:
    return any(part in key for part in _TRADING)

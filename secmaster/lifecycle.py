"""What a lifecycle event, or the clock, changes in a market. Pure.

Events may come late, twice, or after REST has told more. So each status change is looked up in one table, and a
market is never moved backwards by what is older than what it knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from secmaster import listing

# REST follows the venue's own events by seconds: for so long it does not overrule them.
REST_BEHIND = timedelta(seconds=60)
COMBINATION = "KXMVE"  # user-made combinations, hundreds of thousands: no sync lists them either

INITIALIZED, INACTIVE, ACTIVE, CLOSED = "initialized", "inactive", "active", "closed"
DETERMINED, DISPUTED, AMENDED, FINALIZED = "determined", "disputed", "amended", "finalized"

# How far in its life a market is.
STAGE = {
    INITIALIZED: 0, INACTIVE: 1, ACTIVE: 1, CLOSED: 2, DETERMINED: 3, DISPUTED: 3, AMENDED: 3, FINALIZED: 4,
}  # fmt: skip
_NOT_OVER = (INITIALIZED, INACTIVE, ACTIVE, CLOSED)
TO_CLOSE = (INITIALIZED, INACTIVE, ACTIVE)
_NOT_FINAL = (*_NOT_OVER, DETERMINED, DISPUTED, AMENDED)

# By what was said, and by whom: the statuses that it changes, and into which. The others stay.
BY_CLOCK = "by_clock"
MOVES: dict[str, tuple[tuple[str, ...], str]] = {
    "created": ((), INITIALIZED),
    "open": (_NOT_OVER, ACTIVE),
    # A halt is ended by the venue alone; a closing that is put off opens a closed market again.
    f"open {BY_CLOCK}": ((INITIALIZED, CLOSED), ACTIVE),
    "halted": ((INITIALIZED, ACTIVE), INACTIVE),
    "closed": (TO_CLOSE, CLOSED),
    "determined": (_NOT_FINAL, DETERMINED),
    "disputed": (_NOT_FINAL, DISPUTED),
    "amended": (_NOT_FINAL, AMENDED),
    "settled": (_NOT_FINAL, FINALIZED),
}
# The columns of a market that `effect` reads.
READS = (
    "status", "status_at", "told_at", "event_ticker", "series_ticker", "title", "open_time", "close_time",
    "settlement_time", "result", "settlement_value", "settled_at", "strike_type", "floor_strike", "cap_strike",
    "raw_metadata",
)  # fmt: skip
# What events tell, and REST only some seconds later.
_TOLD = ("open_time", "close_time", "result", "settlement_value", "settled_at")


@dataclass(frozen=True, slots=True)
class Told:
    """What the venue, or the clock, said of one market; `kind` as on the bus, `details` the venue's own words."""

    ticker: str
    kind: str
    received_at: datetime
    cause: str
    said_at: datetime | None = None
    by_clock: bool = False
    result: str = ""
    settlement_value: Decimal | None = None
    open_time: datetime | None = None
    close_time: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def at(self) -> datetime:
        """What orders events: the venue's time where it states one. The clock's word counts from when it was given."""
        return self.received_at if self.said_at is None or self.by_clock else self.said_at


def new_market(told: Told) -> dict[str, Any] | None:
    """The columns of a market that nobody knew before; None where the event does not say what state it is in."""
    if told.kind not in MOVES:
        return None
    _, status = MOVES[told.kind]
    outcome = _outcome(told)
    return {
        "kalshi_id": told.ticker,
        "title": told.ticker,
        **_place(told),
        **_description(told),
        **outcome,
        "status": status,
        "open_time": told.open_time,
        "close_time": told.close_time,
        "status_at": told.at,
        "told_at": told.received_at,
    }


def effect(told: Told, known: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that the event sets in a market that is known; nothing where it says nothing new."""
    new = {**_new_status(told, known), **_new_outcome(told, known)}
    if known["told_at"] is None or told.received_at >= known["told_at"]:
        new |= _new_dates(told) | _new_description(told, known)
    if all(known[name] == value for name, value in new.items() if name != "status_at"):
        return {}
    return {**new, "told_at": max(told.received_at, known["told_at"] or told.received_at)}


def is_late(told: Told, known: Mapping[str, Any]) -> bool:
    """Whether it would move the status, and comes after something newer has."""
    before, after = _move(told)
    return known["status"] in before and known["status"] != after and not _may_move(told, known)


def listed(row: Mapping[str, Any], known: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The columns of REST's row that count: for a while after an event it says what was before that event."""
    new = {name: value for name, value in row.items() if not (name == "category" and value is None)}
    told_at = known["told_at"]
    if told_at is not None and told_at > now - REST_BEHIND:
        new = {name: value for name, value in new.items() if name not in _TOLD or known[name] is None}
        if STAGE[new["status"]] <= STAGE[known["status"]]:
            del new["status"]
    if new.get("status", known["status"]) != known["status"]:
        new["status_at"] = now - REST_BEHIND
    return new


def by_clock(known: Mapping[str, Any], at: datetime) -> tuple[str, datetime | None]:
    """The status at `at` by the market's own times, and since when; the venue tells of no opening.

    What something newer than its closing time called active stays so: the venue keeps it open.
    """
    status, opens, closes = known["status"], known["open_time"], known["close_time"]
    if closes is not None and closes <= at:
        is_kept = known["status_at"] is not None and known["status_at"] >= closes
        return (CLOSED, closes) if status in TO_CLOSE and not is_kept else (status, None)
    if status == INITIALIZED and opens is not None and opens <= at:
        return ACTIVE, opens
    return status, None


def _move(told: Told) -> tuple[tuple[str, ...], str]:
    clocked = f"{told.kind} {BY_CLOCK}"
    return MOVES.get(clocked if told.by_clock and clocked in MOVES else told.kind, ((), ""))


def _new_status(told: Told, known: Mapping[str, Any]) -> dict[str, Any]:
    before, after = _move(told)
    if known["status"] not in before or known["status"] == after or not _may_move(told, known):
        return {}
    return {"status": after, "status_at": told.at}


def _may_move(told: Told, known: Mapping[str, Any]) -> bool:
    """Ends are final whenever they are heard of; everything else must be newer than what is known."""
    now, (_, after) = known["status"], _move(told)
    is_newer = known["status_at"] is None or told.at >= known["status_at"]
    return is_newer or now == INITIALIZED or STAGE[after] > max(STAGE[now], STAGE[CLOSED])


def _outcome(told: Told) -> dict[str, Any]:
    if told.kind == "settled":
        return {"settled_at": told.at}
    if told.kind not in ("determined", "amended"):
        return {}
    found = {"result": told.result[:16] or None, "settlement_value": told.settlement_value}
    return {name: value for name, value in found.items() if value is not None}


def _new_outcome(told: Told, known: Mapping[str, Any]) -> dict[str, Any]:
    """A newer one replaces the older; an older one fills what is missing."""
    is_newer = known["status_at"] is None or told.at >= known["status_at"]
    is_open = known["status"] != FINALIZED and is_newer
    return {name: value for name, value in _outcome(told).items() if is_open or known[name] is None}


def _new_dates(told: Told) -> dict[str, Any]:
    found = {"open_time": told.open_time, "close_time": told.close_time}
    return {name: value for name, value in found.items() if value is not None}


def _new_description(told: Told, known: Mapping[str, Any]) -> dict[str, Any]:
    """Of a `created` only what REST has not told better; of a change what it names."""
    if told.kind == "created":
        return {} if known["raw_metadata"] else {**_place(told), **_description(told)}
    if told.kind != "changed":
        return {}
    named = {key: value for key, value in told.details.items() if key not in _ENVELOPE}
    if not named:
        return {}
    before = known["raw_metadata"] or {}
    return {**_strikes(named), "raw_metadata": {**before, **named}}


_ENVELOPE = frozenset(("event_type", "market_ticker", "close_ts", "open_ts", "sending_ts_ms"))


def event_of(told: Told) -> str:
    """The market's event: said by `created`, else what stands before the last dash, as tickers are made."""
    said = _about(told).get("event_ticker")
    return str(said or told.ticker.rpartition("-")[0] or told.ticker)[: listing.LONGEST_TICKER]


def _place(told: Told) -> dict[str, Any]:
    event = event_of(told)
    return {"event_ticker": event, "series_ticker": event.split("-", 1)[0]}


def _about(told: Told) -> Mapping[str, Any]:
    about = told.details.get("additional_metadata")
    return about if isinstance(about, dict) else {}


def _description(told: Told) -> dict[str, Any]:
    about = _about(told)
    if not about:
        return {}
    rest = {
        key: value for key, value in told.details.items() if key not in (*_ENVELOPE, "additional_metadata")
    }
    return {
        "title": str(about.get("title") or about.get("yes_sub_title") or told.ticker),
        "settlement_time": seconds(about.get("expected_expiration_ts")),
        "strike_type": "",
        **_strikes(about),
        "raw_metadata": {**rest, **about},
    }


def _strikes(about: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: listing.strike(about[name]) for name in ("floor_strike", "cap_strike") if name in about
    }
    if "strike_type" in about:
        found["strike_type"] = str(about["strike_type"] or "")[:32]
    return found


def seconds(ts: object) -> datetime | None:
    """Unix seconds as an instant; None for what is no time."""
    if isinstance(ts, bool) or not isinstance(ts, int | float):
        return None
    try:
        return datetime.fromtimestamp(ts, UTC)
    except (OverflowError, OSError, ValueError):
        return None

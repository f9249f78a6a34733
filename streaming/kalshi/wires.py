"""Kalshi's wire by date: which mapper reads which day (kalshi.md 3.7). Pure."""

from datetime import UTC, datetime
from typing import NamedTuple

_NS = 1_000_000_000


class Wire(NamedTuple):
    """One generation of the wire, by the id that feed versions and manifests call its mapper."""

    mapper: str
    from_ns: int
    has_cents: bool  # prices as integer cents, sizes as integer contracts
    has_fixed_point: bool  # both as decimal strings, `*_dollars` and `*_fp`


def _midnight(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * _NS


CENTS = Wire("kalshi-cents", 0, has_cents=True, has_fixed_point=False)
BOTH = Wire("kalshi-both", _midnight(2026, 1, 22), has_cents=True, has_fixed_point=True)
FIXED_POINT = Wire("kalshi-fp", _midnight(2026, 3, 12), has_cents=False, has_fixed_point=True)
WIRES = (CENTS, BOTH, FIXED_POINT)
_FOR_EVER = 2**63


def wire_at(at_ns: int) -> tuple[Wire, int]:
    """The wire in force at a moment, and when the next one begins."""
    for wire, following in zip(reversed(WIRES), (None, *reversed(WIRES)), strict=False):
        if at_ns >= wire.from_ns:
            return wire, following.from_ns if following else _FOR_EVER
    raise ValueError(f"before every wire: {at_ns}")


def wire_named(mapper: str) -> Wire:
    """The wire of a mapper's id; raises ValueError for any other name."""
    for wire in WIRES:
        if wire.mapper == mapper:
            return wire
    raise ValueError(f"no mapper {mapper!r}; there are {', '.join(wire.mapper for wire in WIRES)}")

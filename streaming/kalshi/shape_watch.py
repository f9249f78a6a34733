"""Watches the shape of the venue's frames: the first field or type that nobody knows is told at once. Pure.

A venue changes its wire without asking; what a reader does not know it skips without a word.
"""

import msgspec

from streaming.kalshi import messages

OUTER = frozenset({"type", "id", "sid", "seq", "msg", "sending_ts_ms"})
READ: dict[str, type[msgspec.Struct]] = {
    "orderbook_snapshot": messages.Snapshot,
    "orderbook_delta": messages.Delta,
    "trade": messages.TradeMessage,
    "ticker": messages.TickerMessage,
    "market_lifecycle_v2": messages.Lifecycle,
}
_DETAILS = "carried as it came, in MarketStatus.details"
# Fields that are known and not read, each for its reason.
IGNORED: dict[str, dict[str, str]] = {
    "ticker": {
        "dollar_volume": "follows from the volume: half a dollar a contract in every recorded frame",
        "dollar_open_interest": "follows from the open interest likewise",
        "Clock": "the venue's own counter, without meaning outside; gone since 2026-03-12",
    },
    "market_lifecycle_v2": {
        "additional_metadata": _DETAILS,
        "exchange_index": _DETAILS,
        "price_level_structure": _DETAILS,
        "price_ranges": _DETAILS,
        "floor_strike": _DETAILS,
        "cap_strike": _DETAILS,
        "custom_strike": _DETAILS,
        "strike_type": _DETAILS,
        "yes_sub_title": _DETAILS,
    },
}
KNOWN = {
    kind: frozenset(struct.__struct_fields__) | IGNORED.get(kind, {}).keys() for kind, struct in READ.items()
}
MOST_TOLD = 100  # in one session: names are the venue's, and may be anything
EVERY = 64  # frames of a shape that has been seen are still looked at, now and then


class ShapeWatch:
    """Give it every frame; what it returns is told once in its life."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], int] = {}
        self._told: set[str] = set()

    def look(self, frame_type: str, frame: bytes) -> list[str]:
        """What is new in this frame: `unknown type x`, `trade.new_field`."""
        shape = frame_type, frame.count(b'":')  # another field, another number of them
        looked = self._seen.get(shape, 0)
        self._seen[shape] = looked + 1
        if looked % EVERY:
            return []
        found = [one for one in _unknown(frame_type, frame) if one not in self._told]
        if found:
            del self._seen[shape]  # the next of this shape may have another one
        found = found[: MOST_TOLD - len(self._told)]
        self._told.update(found)
        if len(self._seen) > MOST_TOLD * 10:
            self._seen.clear()
        return found


def _unknown(frame_type: str, frame: bytes) -> list[str]:
    if frame_type and not messages.is_known(frame_type):
        return [f"unknown type {frame_type[:100]}"]
    try:
        outer = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return []  # counted as what it is by who reads it
    if not isinstance(outer, dict):
        return []
    found = [f"{frame_type}: {name[:100]}" for name in sorted(outer.keys() - OUTER)]
    known, inner = KNOWN.get(frame_type), outer.get("msg")
    if known is not None and isinstance(inner, dict):
        found += [f"{frame_type}.{name[:100]}" for name in sorted(inner.keys() - known)]
    return found

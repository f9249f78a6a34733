"""Frames as Kalshi wrote them before the fixed-point form (kalshi.md 3.7), made from those of today; pure.

Whole cents and whole contracts cannot hold everything: what they cannot is rounded, as it was then.
"""

from typing import Any

from streaming.kalshi.simulator.book import price_e4, size_e2

Message = dict[str, Any]
# What today's ticker and trade have, and did not have then.
_LATER = ("ts_ms", "time", "yes_bid_size_fp", "yes_ask_size_fp", "last_trade_size_fp", "taker_outcome_side", "taker_book_side", "is_block_trade")  # fmt: skip
# Exact name -> the name in cents or contracts.
_PRICES = {
    "price_dollars": "price", "yes_bid_dollars": "yes_bid", "yes_ask_dollars": "yes_ask",
    "yes_price_dollars": "yes_price", "no_price_dollars": "no_price",
}  # fmt: skip
_SIZES = {
    "delta_fp": "delta",
    "count_fp": "count",
    "volume_fp": "volume",
    "open_interest_fp": "open_interest",
}
_CLOCK = 6_598_272_994


def as_once(body: dict[str, Any], form: str) -> None:
    """Rewrite one frame: `cents`, `dollars` (cents and dollars, no fixed-point counts) or `both`."""
    message = body.get("msg")
    if not isinstance(message, dict):
        return
    body.pop("sending_ts_ms", None)
    rewrite = _snapshot if body["type"] == "orderbook_snapshot" else _message
    body["msg"] = rewrite(message, form)
    if body["type"] == "ticker" and form != "both":
        body["msg"]["Clock"] = _CLOCK


def _snapshot(message: Message, form: str) -> Message:
    kept = {key: value for key, value in message.items() if not key.endswith("_dollars_fp")}
    for side in ("yes", "no"):
        levels = message.get(f"{side}_dollars_fp")
        if levels is None:
            continue
        kept[side] = [[_cents(price), _contracts(size)] for price, size in levels]
        if form != "cents":
            kept[f"{side}_dollars"] = [[price[:-1], _contracts(size)] for price, size in levels]
        if form == "both":
            kept[f"{side}_dollars_fp"] = levels
    return kept


def _message(message: Message, form: str) -> Message:
    found: Message = {}
    for key, value in message.items():
        if form != "both" and key in _LATER:
            continue
        if key in _PRICES:
            found[_PRICES[key]] = _cents(value)
        elif key in _SIZES:
            found[_SIZES[key]] = _contracts(value)
        if _is_kept(key, form):
            found[key] = value
    return found


def _is_kept(key: str, form: str) -> bool:
    if key in _PRICES:
        return form != "cents"
    return key not in _SIZES or form == "both"


def _cents(price: str) -> int:
    return price_e4(price) // 100


def _contracts(size: str) -> int:
    """Towards zero, but never to nothing: 0 would read as gone."""
    exact = size_e2(size)
    whole = abs(exact) // 100 or (1 if exact else 0)
    return -whole if exact < 0 else whole

"""The commands of Kalshi's WebSocket, as JSON."""

from collections.abc import Sequence

import msgspec

_encode = msgspec.json.Encoder().encode


def subscribe(
    command_id: int, channel: str, *, tickers: Sequence[str] = (), use_yes_price: bool | None = None
) -> bytes:
    """Open a channel; without tickers, for all markets. `use_yes_price` is always said where it matters."""
    params: dict[str, object] = {"channels": [channel]}
    if tickers:
        params["market_tickers"] = list(tickers)
    if use_yes_price is not None:
        params["use_yes_price"] = use_yes_price
    return _encode({"id": command_id, "cmd": "subscribe", "params": params})


def update(command_id: int, sid: int, action: str, tickers: Sequence[str]) -> bytes:
    """`add_markets`, `delete_markets` or `get_snapshot` on one subscription."""
    params = {"sid": sid, "market_tickers": list(tickers), "action": action}
    return _encode({"id": command_id, "cmd": "update_subscription", "params": params})


def list_subscriptions(command_id: int) -> bytes:
    """Which channels are open on this connection."""
    return _encode({"id": command_id, "cmd": "list_subscriptions"})

"""What the venue says that a connection follows, read from its answers. Pure."""

from collections.abc import Mapping

import msgspec

from streaming.kalshi.protocol_error import ProtocolError


class _Listed(msgspec.Struct, frozen=True):
    channel: str
    sid: int


class _Markets(msgspec.Struct, frozen=True):
    market_tickers: list[str]


def require_channels(answer: msgspec.Raw, ours: Mapping[int, str]) -> None:
    """Raises ProtocolError where `list_subscriptions` was answered without one of our sids; else msgspec.DecodeError."""
    listed = {one.sid for one in msgspec.json.decode(answer, type=list[_Listed])}
    gone = [f"{channel} ({sid})" for sid, channel in ours.items() if sid not in listed]
    if gone:
        raise ProtocolError(f"the venue lists no subscription any more to {', '.join(gone)}")


def books(answer: msgspec.Raw) -> set[str] | None:
    """The markets of an order-book subscription, as its `ok` lists them; None where it does not."""
    try:
        return set(msgspec.json.decode(answer, type=_Markets).market_tickers)
    except msgspec.DecodeError:
        return None

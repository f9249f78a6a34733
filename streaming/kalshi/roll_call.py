"""What the venue says that a connection follows, read from its answers. Pure."""

import msgspec


class _Listed(msgspec.Struct, frozen=True):
    channel: str
    sid: int


class _Markets(msgspec.Struct, frozen=True):
    market_tickers: list[str]


def channels(answer: msgspec.Raw) -> dict[int, str]:
    """The channels by sid that `list_subscriptions` was answered with; raises msgspec.DecodeError."""
    return {one.sid: one.channel for one in msgspec.json.decode(answer, type=list[_Listed])}


def books(answer: msgspec.Raw) -> set[str] | None:
    """The markets of an order-book subscription, as its `ok` lists them; None where it does not."""
    try:
        return set(msgspec.json.decode(answer, type=_Markets).market_tickers)
    except msgspec.DecodeError:
        return None

"""The shape of Kalshi's WebSocket frames (current wire), decoded with msgspec; unknown fields are ignored."""

from typing import Annotated, Any

import msgspec

# What a frame may hold at most: past it a value is not the venue's, and would not fit our messages.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=10**13)]  # Unix ms, to the year 2286
Seconds = Annotated[int, msgspec.Meta(ge=0, le=10**10)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]


class Envelope(msgspec.Struct, frozen=True):
    """What every frame has; `msg` waits undecoded until its type is known."""

    type: str
    id: int | None = None
    sid: Number | None = None
    seq: Number | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")
    sending_ts_ms: Millis | None = None


class Subscribed(msgspec.Struct, frozen=True):
    """`subscribed`: a channel got its sid."""

    channel: str
    sid: Number


class MarketList(msgspec.Struct, frozen=True):
    """`ok`: all the markets of a sid after the change."""

    market_tickers: list[str] | None = None


class ErrorMessage(msgspec.Struct, frozen=True):
    """`error`: numbered, see the venue's list."""

    code: int = 0
    msg: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """`orderbook_snapshot`: an empty side is absent."""

    market_ticker: Name
    market_id: Short = ""
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []


class Delta(msgspec.Struct, frozen=True):
    """`orderbook_delta`: a signed change of one level on the scale of its side."""

    market_ticker: Name
    price_dollars: str
    delta_fp: str
    side: str
    market_id: Short = ""
    ts_ms: Millis | None = None


class TradeMessage(msgspec.Struct, frozen=True):
    """`trade`: one resting order filled."""

    trade_id: Name
    market_ticker: Name
    yes_price_dollars: str
    count_fp: str
    taker_outcome_side: str = ""
    taker_side: str = ""
    is_block_trade: bool = False
    ts_ms: Millis | None = None
    ts: Any = None  # deprecated: Unix seconds where it is a number


class TickerMessage(msgspec.Struct, frozen=True):
    """`ticker`: conflated, without seq."""

    market_ticker: Name
    market_id: Short = ""
    price_dollars: str = ""
    yes_bid_dollars: str = ""
    yes_ask_dollars: str = ""
    yes_bid_size_fp: str = "0.00"
    yes_ask_size_fp: str = "0.00"
    last_trade_size_fp: str = "0.00"
    volume_fp: str = "0.00"
    open_interest_fp: str = "0.00"
    ts_ms: Millis | None = None


class Lifecycle(msgspec.Struct, frozen=True):
    """`market_lifecycle_v2`: `event_type` decides which fields are there; all `*_ts` are Unix seconds."""

    market_ticker: Name
    event_type: Short
    open_ts: Seconds | None = None
    close_ts: Seconds | None = None
    is_deactivated: bool | None = None
    result: Short | None = None
    determination_ts: Seconds | None = None
    settled_ts: Seconds | None = None
    settlement_value: Any = None


_envelope = msgspec.json.Decoder(Envelope)


def decode_envelope(frame: bytes) -> Envelope:
    """The frame's outer object; raises msgspec.DecodeError (and ValidationError) on anything else."""
    try:
        return _envelope.decode(frame)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from error


_RAW_TYPES = {
    "trade": "trade",
    "ticker": "ticker",
    "orderbook_snapshot": "orderbook",
    "orderbook_delta": "orderbook",
    "market_lifecycle_v2": "lifecycle",
    "multivariate_market_lifecycle": "lifecycle",
    "event_lifecycle": "lifecycle",
    "event_fee_update": "lifecycle",
    "subscribed": "control",
    "unsubscribed": "control",
    "ok": "control",
    "error": "control",
}


def raw_type(frame_type: str) -> str:
    """The short type of a frame, as raw lines, subjects and metrics name it: a closed set."""
    return _RAW_TYPES.get(frame_type, "unknown")

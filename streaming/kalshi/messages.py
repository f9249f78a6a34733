"""The shape of Kalshi's WebSocket frames, of all its wires, decoded with msgspec; unknown fields are ignored."""

from typing import Annotated, Any

import msgspec

# What a frame may hold at most: past it a value is not the venue's, and would not fit our messages.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=10**13)]  # Unix ms, to the year 2286
Seconds = Annotated[int, msgspec.Meta(ge=0, le=10**10)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Short = Annotated[str, msgspec.Meta(max_length=200)]


OF_BOOKS = frozenset(("orderbook_delta", "orderbook_snapshot"))


class Envelope(msgspec.Struct, frozen=True):
    """What every frame has; `msg` waits undecoded until its type is known."""

    type: str
    id: int | None = None
    sid: Number | None = None
    seq: Number | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")
    sending_ts_ms: Millis | None = None


class _Essential(msgspec.Struct, frozen=True):
    type: str
    sid: Number | None = None
    seq: Number | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")


class _Named(msgspec.Struct, frozen=True, gc=False):
    market_ticker: str


class Heading(msgspec.Struct, frozen=True, gc=False):
    """Which market a frame is of and how it is counted: what is known of it without reading all of it."""

    type: str
    msg: _Named
    sid: Number | None = None
    seq: Number | None = None


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


# The three wires in one struct each: what a frame carries in both forms is read from the exact one. A number that has
# no exact form, nor cents, is missing: which fields are required is the mapper's to say.
Cents = Annotated[int, msgspec.Meta(ge=0, le=100)]
Contracts = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
Change = Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)]


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """`orderbook_snapshot`: an empty side is absent."""

    market_ticker: Name
    market_id: Short = ""
    yes_dollars_fp: list[tuple[str, str]] | None = None
    no_dollars_fp: list[tuple[str, str]] | None = None
    yes_dollars: list[tuple[str, Contracts]] | None = None
    no_dollars: list[tuple[str, Contracts]] | None = None
    yes: list[tuple[Cents, Contracts]] | None = None
    no: list[tuple[Cents, Contracts]] | None = None


class Delta(msgspec.Struct, frozen=True, gc=False):
    """`orderbook_delta`: a signed change of one level on the scale of its side."""

    market_ticker: Name
    side: str
    price_dollars: str | None = None
    delta_fp: str | None = None
    market_id: Short = ""
    ts_ms: Millis | None = None
    ts: Any = None  # deprecated: RFC 3339
    price: Cents | None = None
    delta: Change | None = None


class TradeMessage(msgspec.Struct, frozen=True, gc=False):
    """`trade`: one resting order filled. The taker's side is told up to three times."""

    trade_id: Name
    market_ticker: Name
    yes_price_dollars: str | None = None
    no_price_dollars: str | None = None
    count_fp: str | None = None
    taker_outcome_side: str = ""
    taker_side: str = ""
    taker_book_side: str = ""
    is_block_trade: bool = False
    ts_ms: Millis | None = None
    ts: Any = None  # deprecated: Unix seconds
    yes_price: Cents | None = None
    no_price: Cents | None = None
    count: Contracts | None = None


class TickerMessage(msgspec.Struct, frozen=True, gc=False):
    """`ticker`: conflated, without seq; sizes since 2026-02-12."""

    market_ticker: Name
    market_id: Short = ""
    price_dollars: str | None = None
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    last_trade_size_fp: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    ts_ms: Millis | None = None
    time: Any = None  # deprecated: RFC 3339
    ts: Any = None  # deprecated: Unix seconds
    price: Cents | None = None
    yes_bid: Cents | None = None
    yes_ask: Cents | None = None
    volume: Contracts | None = None
    open_interest: Contracts | None = None


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


class _Frame(msgspec.Struct, frozen=True, gc=False, tag_field="type", kw_only=True):
    sid: Number | None = None
    seq: Number | None = None
    id: int | None = None
    sending_ts_ms: Millis | None = None


class SnapshotFrame(_Frame, frozen=True, gc=False, tag="orderbook_snapshot", kw_only=True):
    """A whole frame, decoded at once."""

    msg: Snapshot


class DeltaFrame(_Frame, frozen=True, gc=False, tag="orderbook_delta", kw_only=True):
    """A whole frame, decoded at once."""

    msg: Delta


class TradeFrame(_Frame, frozen=True, gc=False, tag="trade", kw_only=True):
    """A whole frame, decoded at once."""

    msg: TradeMessage


class TickerFrame(_Frame, frozen=True, gc=False, tag="ticker", kw_only=True):
    """A whole frame, decoded at once."""

    msg: TickerMessage


class LifecycleFrame(_Frame, frozen=True, gc=False, tag="market_lifecycle_v2", kw_only=True):
    """A lifecycle frame of either channel, with its message as it came."""

    msg: Lifecycle
    details: str


Frame = SnapshotFrame | DeltaFrame | TradeFrame | TickerFrame | LifecycleFrame

_envelope = msgspec.json.Decoder(Envelope)
_essential = msgspec.json.Decoder(_Essential)
_heading = msgspec.json.Decoder(Heading)
_frequent: msgspec.json.Decoder[SnapshotFrame | DeltaFrame | TradeFrame | TickerFrame] = msgspec.json.Decoder(
    SnapshotFrame | DeltaFrame | TradeFrame | TickerFrame
)


_TYPE_OF: dict[type, str] = {
    one: str(one.__struct_config__.tag)
    for one in (SnapshotFrame, DeltaFrame, TradeFrame, TickerFrame, LifecycleFrame)
}


def type_of(frame: Frame) -> str:
    """The frame's type, as the venue calls it."""
    return _TYPE_OF[type(frame)]


def decode_frame(frame: bytes) -> Frame:
    """A frame of a frequent type that is in every field as expected; raises msgspec.DecodeError on anything else."""
    try:
        return _frequent.decode(frame)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from error


def decode_envelope(frame: bytes) -> Envelope:
    """The frame's outer object; raises msgspec.DecodeError (and ValidationError) on anything else."""
    try:
        return _envelope_of(frame)
    except (RecursionError, UnicodeDecodeError) as error:
        raise msgspec.DecodeError(str(error)) from error


def _envelope_of(frame: bytes) -> Envelope:
    try:
        return _envelope.decode(frame)
    except msgspec.ValidationError:  # what may be missing may be spoiled, too
        outer = _essential.decode(frame)
        return Envelope(type=outer.type, sid=outer.sid, seq=outer.seq, msg=outer.msg)


def decode_heading(frame: bytes) -> Heading | None:
    """The frame's heading, exactly as reading all of it would find it; None where only that tells."""
    if frame.count(b'"market_ticker"') != 1 or frame.count(b'"type"') != 1:
        return None
    try:
        return _heading.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


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


# Channels that we never ask for: private ones and paid indices.
_UNASKED = frozenset(
    [
        "fill",
        "user_order",
        "market_position",
        "order_group_updates",
        "rfq_created",
        "rfq_deleted",
        "quote_created",
        "quote_accepted",
        "quote_executed",
        "cfbenchmarks_value",
        "cfbenchmarks_value_5hz",
        "cfbenchmarks_value_indexlist",
        "pyth_value",
        "pyth_value_underlying_list",
    ]
)


def is_known(frame_type: str) -> bool:
    """Whether the venue's documents know this type of frame."""
    return frame_type in _RAW_TYPES or frame_type in _UNASKED


def raw_type(frame_type: str) -> str:
    """The short type of a frame, as raw lines, subjects and metrics name it: a closed set."""
    return _RAW_TYPES.get(frame_type, "unknown")

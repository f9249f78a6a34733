"""What the connector itself writes into the capture log: marks, numbered like frames, as JSON."""

from typing import Any

import msgspec


class SessionStart(msgspec.Struct, tag_field="mark", tag="session_start", omit_defaults=True):
    """What the session was told to do; `subscribe` rules how its frames are read.

    `shard` is `2/3` where the second of three connectors speaks: order books and states of its own markets only.
    """

    feed: str
    environment: str
    environment_version: int
    config_hash: str
    feed_version: str
    endpoint: str
    code_version: str
    subscribe: dict[str, Any]
    shard: str = ""


class Tick(msgspec.Struct, tag_field="mark", tag="tick"):
    """Once a second: bounds what an unknown end can hide."""

    frames: int


class ConnectionOpen(msgspec.Struct, tag_field="mark", tag="connection_open", omit_defaults=True):
    """The venue accepted a connection: the next one of a line, which carries these channels (none named: all).

    A session keeps one connection for each of its lines; connections are counted over all of them.
    """

    connection: int
    line: int = 0
    channels: list[str] = []


class ConnectionReady(msgspec.Struct, tag_field="mark", tag="connection_ready"):
    """Every subscription of a connection is acknowledged and every book has its snapshot."""

    connection: int
    tickers: int


class ConnectionClose(msgspec.Struct, tag_field="mark", tag="connection_close"):
    """A connection ended; what was sent after its last frame never came."""

    connection: int
    code: int
    reason: str


class GapOpen(msgspec.Struct, tag_field="mark", tag="gap_open", omit_defaults=True):
    """A loss began at `from_ns`, after frame `after_n` of the connection. The mark's own n is the gap's number.

    `sid` 0 means the whole connection, which carried `channels` (empty: all); `channel` is what the sid carries (empty:
    not known), empty `tickers` every market.
    `unpublished_from/to` are frames that were captured but perhaps never published. `fault`: exchange, network, ours
    or unknown.
    """

    cause: str
    connection: int
    from_ns: int
    after_n: int
    sid: int = 0
    tickers: list[str] = []
    planned: bool = False
    healable: bool = False
    fault: str = "unknown"
    unpublished_from: int = 0
    unpublished_to: int = 0
    detail: dict[str, Any] = {}
    channel: str = ""
    channels: list[str] = []


class GapClose(msgspec.Struct, tag_field="mark", tag="gap_close"):
    """The loss that mark number `gap` of this session opened is over since `to_ns`."""

    gap: int
    to_ns: int


class RestTrades(msgspec.Struct, tag_field="mark", tag="rest_trades", omit_defaults=True):
    """Trades of a loss, as the venue's REST tells them; the loss is this session's, or that of an earlier `session`."""

    gap: int
    trades: list[dict[str, Any]]
    session: str = ""


class GapHealed(msgspec.Struct, tag_field="mark", tag="gap_healed", omit_defaults=True):
    """Every trade that REST knows of a loss is in this log; `trades` of them had not come otherwise."""

    gap: int
    trades: int
    session: str = ""


class WireDrift(msgspec.Struct, tag_field="mark", tag="wire_drift"):
    """Frame `n` has a field, or is of a type, that nobody knows: the first such frame of the session."""

    n: int
    problem: str


class ClockStep(msgspec.Struct, tag_field="mark", tag="clock_step"):
    """The wall clock was set by `step_ns`; from here on recv_ns is `ahead_ns` ahead of it, for it is never set back."""

    step_ns: int
    ahead_ns: int


class MarketOpened(msgspec.Struct, tag_field="mark", tag="market_opened"):
    """A market's opening time passed; the venue says nothing when it does."""

    ticker: str
    at_ns: int


class MarketClosed(msgspec.Struct, tag_field="mark", tag="market_closed"):
    """A market's closing time passed."""

    ticker: str
    at_ns: int


class SessionEnd(msgspec.Struct, tag_field="mark", tag="session_end"):
    """The session's last record; a log without it was left by a crash."""

    reason: str


Mark = (
    SessionStart
    | Tick
    | ConnectionOpen
    | ConnectionReady
    | ConnectionClose
    | GapOpen
    | GapClose
    | WireDrift
    | RestTrades
    | GapHealed
    | ClockStep
    | MarketOpened
    | MarketClosed
    | SessionEnd
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Mark] = msgspec.json.Decoder(Mark)


def encode(mark: Mark) -> bytes:
    """The mark as one JSON object."""
    return _encoder.encode(mark)


def decode(payload: bytes) -> Mark:
    """The mark in a record of kind MARK; raises msgspec.DecodeError on anything else."""
    return _decoder.decode(payload)

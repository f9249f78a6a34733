"""What happens in a market, in the words that every process shares.

Prices are integers of 1/10,000 dollar (`_e4`) on the YES scale, sizes integers of 1/100 contract (`_e2`), times
Unix nanoseconds (`_ns`). msgspec structs rather than dataclasses: one is made for every received frame.
"""

from enum import Enum

import msgspec


class BookSide(Enum):
    """Which side of the YES book; an ask is a NO bid at 1 - price."""

    BID = "bid"
    ASK = "ask"


class TakerSide(Enum):
    """What the taker did: bought YES, or bought NO (which sells YES)."""

    BUY = "buy"
    SELL = "sell"


class Status(Enum):
    """A market's state, or what its venue just said of it."""

    OPEN = "open"
    CLOSED = "closed"
    HALTED = "halted"
    CREATED = "created"
    DETERMINED = "determined"
    SETTLED = "settled"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    DISPUTED = "disputed"
    AMENDED = "amended"


class Source(Enum):
    """How a record came to us: in the session's stream, or fetched from the venue afterwards."""

    STREAM = "stream"
    REST = "rest"


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The received frame that an event was made from; (session, n, k) is the event's identity."""

    session: str
    n: int
    k: int
    received_ns: int
    connection: int
    sid: int = 0
    seq: int = 0
    sent_ms: int = 0
    source: Source = Source.STREAM
    is_overlap: bool = False

    @property
    def identity(self) -> str:
        """`<session>.<n>.<k>`: the event's Nats-Msg-Id."""
        return f"{self.session}.{self.n}.{self.k}"


class Level(msgspec.Struct, frozen=True, gc=False):
    """One price of a book and what rests there."""

    price_e4: int
    size_e2: int


class Trade(msgspec.Struct, frozen=True, gc=False):
    """A taker met one resting order. `venue_ns` is None where the venue gave no time."""

    ticker: str
    trade_id: str
    price_e4: int
    size_e2: int
    side: TakerSide
    venue_ns: int | None
    origin: Origin
    is_block: bool = False


class BookSnapshot(msgspec.Struct, frozen=True):
    """A whole book, best levels first; a checkpoint is one that we computed, not one that the venue sent.

    `is_requested`: the venue sent it because we asked within a subscription, not because one began.
    """

    ticker: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ns: int | None
    origin: Origin
    market_id: str = ""
    is_checkpoint: bool = False
    is_requested: bool = False


class BookDelta(msgspec.Struct, frozen=True, gc=False):
    """One level changed by `delta_e2`; `size_e2` is what rests there now, None while the book is not known."""

    ticker: str
    side: BookSide
    price_e4: int
    delta_e2: int
    size_e2: int | None
    venue_ns: int | None
    origin: Origin
    market_id: str = ""


class Ticker(msgspec.Struct, frozen=True, gc=False):
    """The venue's summary of a market; None where there is no such price, or a number is not stated."""

    ticker: str
    last_e4: int | None
    bid_e4: int | None
    ask_e4: int | None
    bid_size_e2: int | None
    ask_size_e2: int | None
    last_size_e2: int | None
    volume_e2: int | None
    open_interest_e2: int | None
    venue_ns: int | None
    origin: Origin
    market_id: str = ""


class MarketStatus(msgspec.Struct, frozen=True, gc=False):
    """A market changed its state; `by_clock` when it opened or closed without the venue saying so.

    `details` is the venue's message as it came, in JSON.
    """

    ticker: str
    status: Status
    venue_ns: int | None
    origin: Origin
    by_clock: bool = False
    result: str = ""
    settlement_e4: int | None = None
    open_ns: int | None = None
    close_ns: int | None = None
    venue_event: str = ""
    details: str = ""


class GapNotice(msgspec.Struct, frozen=True):
    """Frames were lost: from `from_ns` to `to_ns` (None while it lasts), for `tickers` (empty: every market)."""

    cause: str
    session: str
    number: int
    connection: int
    from_ns: int
    to_ns: int | None
    sid: int = 0
    tickers: tuple[str, ...] = ()
    is_planned: bool = False
    unpublished: tuple[int, int] | None = None
    note: str = ""
    after_n: int = 0
    is_healable: bool = False
    fault: str = "unknown"  # exchange, network, ours
    channel: str = ""  # what `sid` carries, as raw types are named


MarketEvent = Trade | BookSnapshot | BookDelta | Ticker | MarketStatus
Event = MarketEvent | GapNotice

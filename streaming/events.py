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


class Origin(msgspec.Struct, frozen=True):
    """The received frame that an event was made from; (session, n, k) is the event's identity."""

    session: str
    n: int
    k: int
    received_ns: int
    connection: int
    sid: int = 0
    seq: int = 0
    sent_ms: int = 0

    @property
    def identity(self) -> str:
        """`<session>.<n>.<k>`: the event's Nats-Msg-Id."""
        return f"{self.session}.{self.n}.{self.k}"


class Level(msgspec.Struct, frozen=True):
    """One price of a book and what rests there."""

    price_e4: int
    size_e2: int


class Trade(msgspec.Struct, frozen=True):
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
    """A whole book, best levels first; a checkpoint is one that we computed, not one that the venue sent."""

    ticker: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_ns: int | None
    origin: Origin
    market_id: str = ""
    is_checkpoint: bool = False


class BookDelta(msgspec.Struct, frozen=True):
    """One level changed by `delta_e2`; `size_e2` is what rests there now, None while the book is not known."""

    ticker: str
    side: BookSide
    price_e4: int
    delta_e2: int
    size_e2: int | None
    venue_ns: int | None
    origin: Origin
    market_id: str = ""


class Ticker(msgspec.Struct, frozen=True):
    """The venue's summary of a market; None where there is no such price."""

    ticker: str
    last_e4: int | None
    bid_e4: int | None
    ask_e4: int | None
    bid_size_e2: int
    ask_size_e2: int
    last_size_e2: int
    volume_e2: int
    open_interest_e2: int
    venue_ns: int | None
    origin: Origin
    market_id: str = ""


class MarketStatus(msgspec.Struct, frozen=True):
    """A market changed its state; `by_clock` when it opened or closed without the venue saying so."""

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


MarketEvent = Trade | BookSnapshot | BookDelta | Ticker | MarketStatus
Event = MarketEvent | GapNotice

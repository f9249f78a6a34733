"""Where each event is published: the one builder of NATS subjects, and the one escape of tickers."""

import hashlib
import re
from functools import lru_cache

from streaming.events import BookDelta, BookSnapshot, Event, GapNotice, MarketStatus, Ticker, Trade

_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")
_ESCAPED = re.compile(rb"=([0-9A-F]{2})")
_NOTHING = "="
# Of a token: 200 characters of four bytes each. The server closes the connection of whoever sends a line of 4,096 bytes.
_LONGEST = 2_400

# The subject tokens that carry events of one market, besides `checkpoint`.
MARKET_TOKENS = ("trade", "orderbook", "status", "ticker")


@lru_cache(maxsize=65_536)  # tickers come again with every frame
def escape(text: str) -> str:
    """`text` as one subject token or one folder of an object key: every other byte becomes =XX, no text at all `=`."""
    if not text:
        return _NOTHING
    return _UNSAFE.sub(lambda byte: b"=%02X" % byte[0][0], text.encode()).decode()


def unescape(token: str) -> str:
    """What `escape` was given."""
    if token == _NOTHING:
        return ""
    return _ESCAPED.sub(lambda code: bytes.fromhex(code[1].decode()), token.encode()).decode()


def token_of(event: Event) -> str:
    """The second token of the event's subject."""
    match event:
        case Trade():
            return "trade"
        case BookSnapshot(is_checkpoint=True):
            return "checkpoint"
        case BookSnapshot() | BookDelta():
            return "orderbook"
        case MarketStatus():
            return "status"
        case Ticker():
            return "ticker"
        case GapNotice():
            return "gap"


def address(feed: str, event: Event) -> str:
    """The subject of an event, e.g. `kalshi.trade.KXBTC15M-26JUL191145-45`."""
    last = event.cause if isinstance(event, GapNotice) else event.ticker
    return f"{feed}.{token_of(event)}.{_token(last)}"


def of_market(feed: str, token: str, ticker: str) -> str:
    """The subject of one market's events of one kind."""
    return f"{feed}.{token}.{_token(ticker)}"


def _token(text: str) -> str:
    """What is longer than any ticker is cut, and told apart by a hash of the whole; the event has all of it."""
    escaped = escape(text)
    if len(escaped) <= _LONGEST:
        return escaped
    return f"{escaped[: _LONGEST - 66]}=={hashlib.sha256(text.encode()).hexdigest()}"


def of_lifecycle(feed: str) -> list[str]:
    """All markets' lifecycle events, and the gaps in which some may be missing."""
    return [f"{feed}.status.*", f"{feed}.gap.*"]


def secmaster(feed: str, change: str) -> str:
    """The subject of the security master's changes of one kind."""
    return f"{feed}.secmaster.{change}"


def raw(feed: str, raw_type: str) -> str:
    """The subject of frames as they came; core NATS, kept by no stream."""
    return f"{feed}.raw.{raw_type}"


def quality(feed: str, kind: str) -> str:
    """The subject of what was found wrong just now, as JSON; core NATS, kept by no stream: the log has it."""
    return f"{feed}.quality.{kind}"


def of_stream(feed: str) -> list[str]:
    """What the feed's stream keeps. Named one by one: `{feed}.>` would take its own republished messages in again."""
    return [f"{feed}.{token}.*" for token in (*MARKET_TOKENS, "checkpoint", "secmaster", "gap")]


def republished(feed: str) -> tuple[str, str]:
    """(source, destination) of the stream's republish: the same events by kind, for readers of everything."""
    return f"{feed}.*.*", f"{feed}.normalized.{{{{wildcard(1)}}}}"

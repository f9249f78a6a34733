"""A delta as Cap'n Proto bytes without the library: nine in ten messages are deltas, and theirs is a fixed layout.

One segment, the places of all but the texts the same in every message; how the words follow from the schema is
Cap'n Proto's encoding specification. `tests/streaming/test_delta_message.py` holds every byte to the library.
"""

import struct
from functools import lru_cache

from streaming.events import BookDelta, BookSide, Source
from streaming.wire_schema import DELTA, whole_contracts

_FRAMING = "II"  # segments - 1, words
_UPDATE = "QQHBxxxxx"  # root pointer; timestamp, kind, requested
_POINTERS = "QQQQQQ"  # ticker, bids, asks, change, marketId, origin
_ORIGIN = "QIIQQQBxHxxxxQQ"  # n, k, connection, receivedNs, sid, seq, flags, source, sentMs; session
_CHANGE = "HBxIqQ"  # bookSide, sizeKnown, priceE4, deltaE2, sizeE2
_LEVEL = "QdIIQ"  # tag of the list; price, size, priceE4, sizeE2
_UNKNOWN = struct.Struct("<" + _FRAMING + _UPDATE + _POINTERS + _ORIGIN + _CHANGE)
_KNOWN = struct.Struct(_UNKNOWN.format + _LEVEL)

# Where things stand, in words from the segment's beginning.
_TICKER_AT, _BIDS_AT, _ASKS_AT, _CHANGE_AT, _MARKET_AT, _ORIGIN_AT, _SESSION_AT = 3, 4, 5, 6, 7, 8, 16
_ORIGIN_BEGINS, _CHANGE_BEGINS, _LIST_BEGINS, _LEVELS_END = 9, 17, 20, 24
_VENUE_TIME, _OVERLAP = 1, 2  # bits of the flags


def _struct_pointer(at: int, begins: int, *, data: int, pointers: int) -> int:
    return (begins - at - 1) << 2 | data << 32 | pointers << 48


def _text_pointer(at: int, begins: int, length: int) -> int:
    return 1 | (begins - at - 1) << 2 | 2 << 32 | length << 35


def _levels_pointer(at: int) -> int:
    return 1 | (_LIST_BEGINS - at - 1) << 2 | 7 << 32 | 3 << 35


_ROOT = _struct_pointer(0, 1, data=2, pointers=6)
_CHANGE_POINTER = _struct_pointer(_CHANGE_AT, _CHANGE_BEGINS, data=3, pointers=0)
_ORIGIN_POINTER = _struct_pointer(_ORIGIN_AT, _ORIGIN_BEGINS, data=7, pointers=1)
_BIDS, _ASKS = _levels_pointer(_BIDS_AT), _levels_pointer(_ASKS_AT)
_TAG = 1 << 2 | 3 << 32  # one element of three data words


def encode_delta(event: BookDelta) -> bytes:
    """The message; raises struct.error or UnicodeEncodeError where a value does not fit."""
    origin, size_e2, venue_ns = event.origin, event.size_e2, event.venue_ns
    is_bid, is_known = event.side is BookSide.BID, size_e2 is not None
    begins = _LEVELS_END if is_known else _LIST_BEGINS
    texts, words, ticker, market, session = _texts(event.ticker, event.market_id, origin.session, begins)
    fixed = (
        0, words, _ROOT, origin.received_ns if venue_ns is None else venue_ns, DELTA, 0,
        ticker, _BIDS if is_known and is_bid else 0, 0 if is_bid or not is_known else _ASKS,
        _CHANGE_POINTER, market, _ORIGIN_POINTER,
        origin.n, origin.k, origin.connection, origin.received_ns, origin.sid, origin.seq,
        (venue_ns is not None) * _VENUE_TIME | origin.is_overlap * _OVERLAP,
        0 if origin.source is Source.STREAM else 1, origin.sent_ms, session,
        0 if is_bid else 1, is_known, event.price_e4, event.delta_e2, size_e2 or 0,
    )  # fmt: skip
    if size_e2 is None:
        return _UNKNOWN.pack(*fixed) + texts
    price_e4 = event.price_e4
    return _KNOWN.pack(*fixed, _TAG, price_e4 / 10_000, whole_contracts(size_e2), price_e4, size_e2) + texts


@lru_cache(maxsize=65_536)  # a market's texts come again with every delta
def _texts(ticker: str, market_id: str, session: str, begins: int) -> tuple[bytes, int, int, int, int]:
    """The texts one behind the other from word `begins`, the message's words, and the pointers to the texts."""
    parts, to = [], []
    for at, text in ((_TICKER_AT, ticker), (_MARKET_AT, market_id), (_SESSION_AT, session)):
        data = text.encode() + b"\0"
        to.append(_text_pointer(at, begins, len(data)))
        parts.append(data + bytes(-len(data) % 8))
        begins += len(parts[-1]) // 8
    return b"".join(parts), begins, to[0], to[1], to[2]

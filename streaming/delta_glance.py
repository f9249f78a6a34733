"""The origin of a delta of ours by its fixed layout, without the library: what `delta_message` writes, read back. Pure."""

from functools import lru_cache

from streaming.delta_message import (
    _ASKS,
    _BIDS,
    _CHANGE_POINTER,
    _LEVELS_END,
    _LIST_BEGINS,
    _MARKET_AT,
    _ORIGIN_POINTER,
    _ROOT,
    _SESSION_AT,
    _TAG,
    _TICKER_AT,
    _UNKNOWN,
)
from streaming.wire_schema import DELTA

_FRAMING_BYTES, _WORD = 8, 8
_TAG_BYTES = _TAG.to_bytes(8, "little")
_TAG_AT = _FRAMING_BYTES + _LIST_BEGINS * _WORD


def glance_at_delta(payload: bytes) -> tuple[int, str, int, int, str] | None:
    """(receive time, session, n, k, ticker); None for whatever is not exactly of the layout: the library decides."""
    if len(payload) < _UNKNOWN.size:
        return None
    fields = _UNKNOWN.unpack_from(payload)
    others, words, root, _, kind, _, ticker, bids, asks, change, market, origin, n, k, _, received_ns = (
        fields[:16]
    )
    is_ours = (others, root, kind, change, origin) == (0, _ROOT, DELTA, _CHANGE_POINTER, _ORIGIN_POINTER)
    if not is_ours or len(payload) != _FRAMING_BYTES + words * _WORD:
        return None
    begins = _texts_begin(payload, bids, asks)
    if begins is None:
        return None
    found = _texts(ticker, market, fields[21], begins, payload[_FRAMING_BYTES + begins * _WORD :])
    return None if found is None else (received_ns, found[1], n, k, found[0])


def _texts_begin(payload: bytes, bids: int, asks: int) -> int | None:
    if not bids and not asks:
        return _LIST_BEGINS
    if (bids, asks) in ((_BIDS, 0), (0, _ASKS)) and payload[_TAG_AT : _TAG_AT + _WORD] == _TAG_BYTES:
        return _LEVELS_END
    return None


@lru_cache(maxsize=65_536)  # a market's texts come again with every delta
def _texts(ticker: int, market: int, session: int, begins: int, data: bytes) -> tuple[str, str] | None:
    """(ticker, session): where the three pointers lead to, which are as the writer makes them."""
    found = []
    for at, pointer in ((_TICKER_AT, ticker), (_MARKET_AT, market), (_SESSION_AT, session)):
        start, length = ((pointer >> 2 & 0x3FFF_FFFF) + at + 1 - begins) * _WORD, pointer >> 35
        text = data[start : start + length] if start >= 0 else b""
        if pointer & 3 != 1 or pointer >> 32 & 7 != 2 or len(text) != length or not text.endswith(b"\0"):
            return None
        try:
            found.append(text[:-1].decode())
        except UnicodeDecodeError:
            return None
    return found[0], found[2]

"""WebSocket frames as bytes, written by hand: one write for many frames is what makes a fast replay fast; pure."""

import struct

_TEXT, _PING = 0x81, 0x89


def text_frame(payload: bytes) -> bytes:
    """An unmasked, unfragmented text frame (RFC 6455 5.2)."""
    return _head(_TEXT, len(payload)) + payload


def ping_frame(payload: bytes) -> bytes:
    """A ping; the library refuses a second one of the same payload while the first is unanswered."""
    return _head(_PING, len(payload)) + payload


def _head(first: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)

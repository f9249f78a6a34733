"""WebSocket frames as bytes, written by hand: one write for many frames is what makes a fast replay fast; pure."""

import struct
import zlib
from functools import lru_cache

_FIN, _COMPRESSED = 0x80, 0x40
_CONTINUATION, _TEXT, _CLOSE, _PING = 0x0, 0x1, 0x8, 0x9
_TEXT_HEAD, _PING_HEAD = _FIN | _TEXT, _FIN | _PING
_SYNC_TAIL = b"\x00\x00\xff\xff"
_BLOCK = 1 << 20


def text_frame(payload: bytes) -> bytes:
    """An unmasked, unfragmented text frame (RFC 6455 5.2)."""
    return _head(_TEXT_HEAD, len(payload)) + payload


def ping_frame(payload: bytes) -> bytes:
    """A ping; the library refuses a second one of the same payload while the first is unanswered."""
    return _head(_PING_HEAD, len(payload)) + payload


def data_frame(opcode: int, payload: bytes) -> bytes:
    """A text (1) or binary (2) frame."""
    return _head(_FIN | opcode, len(payload)) + payload


def close_frame(code: int, reason: str) -> bytes:
    """A close frame of any code, those too that must not be sent; code 0 is one without a code."""
    payload = struct.pack("!H", code) + reason.encode()[:123] if code else b""
    return _head(_FIN | _CLOSE, len(payload)) + payload


def fragment(opcode: int, payload: bytes) -> bytes:
    """The first fragment of a message that goes on."""
    return _head(opcode, len(payload)) + payload


def continuation(payload: bytes) -> bytes:
    """A further fragment, and not the last."""
    return _head(_CONTINUATION, len(payload)) + payload


@lru_cache(maxsize=4)
def compressed_zeros(size: int) -> bytes:
    """A compressed text frame (RFC 7692) that unpacks to so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    parts = [packer.compress(bytes(min(_BLOCK, size - done))) for done in range(0, size, _BLOCK)]
    parts.append(packer.flush(zlib.Z_SYNC_FLUSH))
    payload = b"".join(parts).removesuffix(_SYNC_TAIL)
    return _head(_FIN | _COMPRESSED | _TEXT, len(payload)) + payload


def _head(first: int, length: int) -> bytes:
    if length < 126:
        return struct.pack("!BB", first, length)
    if length < 65_536:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)

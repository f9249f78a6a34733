"""One line of JSON that ends with a checksum of itself: whatever happens to its bytes, a reader notices. Pure.

    {"format":1, ... ,"crc32c":"0f1e2d3c"}

The checksum is of all the bytes before `,"crc32c"`. Lines of older versions have none.
"""

import re

import google_crc32c

from archive.files import Damaged

_TRAILER = re.compile(rb',"crc32c":"([0-9a-f]{8})"\}\n')
_TRAILER_BYTES = len(b',"crc32c":"00000000"}\n')


def with_check(line: bytes) -> bytes:
    """A JSON object's text (no newline), with the checksum as its last member."""
    front = line[:-1]
    return front + b',"crc32c":"%08x"}\n' % google_crc32c.value(front)


def require_sound(data: bytes, key: str) -> None:
    """Raise Damaged where the line is not what its checksum says; a line without one is not judged."""
    if is_checked(data) and not _is_sound(data):
        raise Damaged(f"{key} is not what was stored: its checksum differs")


def is_checked(data: bytes) -> bool:
    """Whether the line ends with a checksum."""
    return _TRAILER.fullmatch(data[-_TRAILER_BYTES:]) is not None


def is_exactly(data: bytes, again: bytes) -> bool:
    """Whether `data` is sound, or, written before there were checksums, byte for byte what encoding it again makes."""
    return _is_sound(data) if is_checked(data) else data == _without_check(again)


def _is_sound(data: bytes) -> bool:
    told = _TRAILER.fullmatch(data[-_TRAILER_BYTES:])
    return told is not None and int(told[1], 16) == google_crc32c.value(data[:-_TRAILER_BYTES])


def _without_check(data: bytes) -> bytes:
    return data[:-_TRAILER_BYTES] + b"}\n"

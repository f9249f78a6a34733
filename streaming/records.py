"""The records of the capture log as bytes. The format is for ever:

    segment  = header record*
    header   = "SSMDLOG\\0"  u16 version = 1  u16 length, environment  u16 length, session  u32 crc32c of all before
    record   = u32 length  u32 crc32c  u64 n  u64 recv_ns  u32 connection  u8 kind  bytes

Little endian. `length` counts what follows the crc32c, which is taken over the same bytes; a segment ends at its end
of file. n rises by one from 1 through all segments of a session; recv_ns (Unix ns) rises strictly. Kinds: 0 text
frame, 1 binary frame, 2 mark.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

import google_crc32c

MAGIC = b"SSMDLOG\0"
VERSION = 1
MAX_RECORD_BYTES = 64 * 1024 * 1024

_FRONT = struct.Struct("<II")
_HEAD = struct.Struct("<QQIB")
_WHOLE = struct.Struct("<IIQQIB")  # the two as one
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_crc32c = google_crc32c.value
_tuple = tuple.__new__  # half the time of a NamedTuple's own
_HIGH_OF_N = bytes(4)  # no session has 2**32 records; the JSON of frames holds no such bytes


class Kind(IntEnum):
    """What a record holds."""

    TEXT = 0
    BINARY = 1
    MARK = 2


class Record(NamedTuple):
    """One frame or mark; connection 0 is none."""

    n: int
    received_ns: int
    connection: int
    kind: int
    payload: bytes


class NotALog(ValueError):
    """These bytes are no segment, or one of another format."""


def header(environment: str, session: str) -> bytes:
    """The first bytes of every segment."""
    names = b"".join(_U16.pack(len(name)) + name for name in (environment.encode(), session.encode()))
    front = MAGIC + _U16.pack(VERSION) + names
    return front + _U32.pack(google_crc32c.value(front))


def pack(record: Record) -> bytes:
    """The record as it stands in a segment."""
    return pack_fields(*record)


def pack_fields(n: int, received_ns: int, connection: int, kind: int, payload: bytes) -> bytes:
    """`pack`, for whoever writes many: one checksum over one piece costs less than a record and two."""
    body = _HEAD.pack(n, received_ns, connection, kind) + payload
    return _FRONT.pack(len(body), google_crc32c.value(body)) + body


def unpack(data: bytes, offset: int) -> tuple[Record, int] | None:
    """The record at `offset` and where the next begins; None where no whole, sound record stands."""
    if len(data) < offset + _WHOLE.size:
        return None
    length, check, n, received_ns, connection, kind = _WHOLE.unpack_from(data, offset)
    start = offset + _FRONT.size
    end = start + length
    if not _HEAD.size <= length <= MAX_RECORD_BYTES or len(data) < end:
        return None
    body = data[start:end]
    if _crc32c(body) != check:
        return None
    return _tuple(Record, (n, received_ns, connection, kind, body[_HEAD.size :])), end


def is_followed_by_a_record(data: bytes, offset: int) -> bool:
    """Whether a sound record stands anywhere behind the unreadable bytes at `offset`."""
    return find_record(data, offset) is not None


def find_record(data: bytes, offset: int) -> tuple[Record, int] | None:
    """The first sound record behind the unreadable bytes at `offset`, and where the next begins."""
    at = data.find(_HIGH_OF_N, offset)
    while at >= 0:
        start = at - _FRONT.size - len(_HIGH_OF_N)  # the upper half of n follows the front and the lower half
        if start > offset and (found := unpack(data, start)) is not None:
            return found
        at = data.find(_HIGH_OF_N, at + 1)
    return None


def is_foreign(data: bytes, expected: bytes) -> bool:
    """Whether a segment begins with a whole, sound header that is another than expected: of another log or format."""
    if data.startswith(expected) or not data.startswith(MAGIC):
        return False
    end = len(MAGIC) + _U16.size
    for _ in range(2):
        if len(data) < end + _U16.size:
            return False
        end += _U16.size + _U16.unpack_from(data, end)[0]
    return data[end : end + _U32.size] == _U32.pack(_crc32c(data[:end]))


def read_header(data: bytes) -> tuple[str, str, int] | None:
    """(environment, session, length) of the header that `data` begins with; None where it is cut short."""
    if len(data) < len(MAGIC) + _U16.size:
        return None
    if not data.startswith(MAGIC):
        raise NotALog("not a capture log")
    (version,) = _U16.unpack_from(data, len(MAGIC))
    if version != VERSION:
        raise NotALog(f"format version {version}; this program reads version {VERSION}")
    names, offset = [], len(MAGIC) + _U16.size
    for _ in range(2):
        if len(data) < offset + _U16.size:
            return None
        (length,) = _U16.unpack_from(data, offset)
        offset += _U16.size + length
        names.append(data[offset - length : offset])
    whole = offset + _U32.size
    if len(data) < whole:
        return None
    if _U32.unpack_from(data, offset) != (google_crc32c.value(data[:offset]),):
        raise NotALog("its header is damaged")
    return names[0].decode(), names[1].decode(), whole

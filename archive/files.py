"""Whole files of the raw archive: records as JSON lines and back, byte for byte; zstd with a budget.

    {"ts":<recv ms>,"type":"trade","s":"<session>","n":7,"c":1,"recv_ns":...,"sid":2,"seq":77,"data":<the frame>}

`nl` 1: one newline stood at the frame's end. `mark` true: a mark of our own. A frame that is not exactly one JSON value
on one line of UTF-8, or was binary (`op` 2), stands in `b64` instead of `data`.
"""

import base64
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

import msgspec
import zstandard

from streaming.kalshi.messages import raw_type
from streaming.records import Kind, Record

LEVEL = 1  # on recorded order books both faster and smaller than 3
# A frame nested deeper goes as base64: many JSON readers refuse such lines.
MAX_DEPTH = 100
_INPUT_STEP = 1024  # of compressed bytes: zstd makes at most 32 MiB of them (128 KiB of 4 bytes)

_TEXT, _BINARY, _MARK = int(Kind.TEXT), int(Kind.BINARY), int(Kind.MARK)  # looking up a member is slow
UNKNOWN, CONTROL = raw_type(""), raw_type("ok")

_BINARY_OPCODE = 2  # RFC 6455, 5.2
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_LF, _CR = b"\n\r"  # as numbers: a byte is found faster than a piece of one byte
_BLANKS = frozenset([b" ", b"\t"])
_SHALLOW = 2 * MAX_DEPTH  # bytes: a shorter value cannot open and close so many
_tuple = tuple.__new__  # half the time of a NamedTuple's own
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class Damaged(Exception):
    """Stored bytes are not what was stored."""


class Line(NamedTuple):
    """One record as a raw line, and what a manifest counts of it."""

    data: bytes
    raw_type: str
    ticker: str | None


class RawRecord(NamedTuple):
    """What a raw line says."""

    session: str
    raw_type: str
    sid: int | None
    seq: int | None
    record: Record


class _Message(msgspec.Struct, gc=False):
    market_ticker: str | None = None


class _Frame(msgspec.Struct, gc=False):
    type: str | None = None
    sid: int | None = None
    seq: int | None = None
    msg: _Message | None = None


class _Stored(msgspec.Struct):
    type: str
    s: str
    n: int
    c: int
    recv_ns: int
    sid: int | None = None
    seq: int | None = None
    nl: int = 0
    op: int = 0
    mark: bool = False
    b64: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_frame = msgspec.json.Decoder(_Frame)
_frame_in = _frame.decode
_value = msgspec.json.Decoder(msgspec.Raw)
_stored = msgspec.json.Decoder(_Stored)
_NOTHING = _Frame()


class LineEncoder:
    """Makes the raw lines of one session."""

    def __init__(self, session: str) -> None:
        self._session = msgspec.json.encode(session).decode()

    def encode(self, record: Record) -> Line:
        """The record as one line, newline included."""
        n, received_ns, connection, kind, payload = record
        if kind == _TEXT:
            return self._text(n, received_ns, connection, payload)
        head = f'"s":{self._session},"n":{n},"c":{connection},"recv_ns":{received_ns}'
        ts = received_ns // 1_000_000
        if kind == _MARK:
            start = f'{{"ts":{ts},"type":"control",{head},"mark":true,'
            return Line(start.encode() + _carried(payload), CONTROL, None)
        if kind == _BINARY:
            start = f'{{"ts":{ts},"type":"unknown",{head},"op":{_BINARY_OPCODE},'
            return Line(start.encode() + _base64(payload), UNKNOWN, None)
        raise ValueError(f"Record {n} is of unknown kind {kind}")

    def _text(self, n: int, received_ns: int, connection: int, payload: bytes) -> Line:
        ends_in_newline = payload[-1:] == b"\n"
        body = payload[:-1] if ends_in_newline else payload
        frame = _decode(body)
        if frame is None:
            frame, ends_in_newline, carried = _NOTHING, False, _base64(payload)
        else:
            carried = b'"data":' + body + b"}\n"
        message, sid, seq, frame_type = frame.msg, frame.sid, frame.seq, frame.type
        short = raw_type(frame_type or "")
        told = str(received_ns)  # its text without the last six digits is that of the milliseconds
        numbers = "" if sid is None else f'"sid":{sid},'
        if seq is not None:
            numbers += f'"seq":{seq},'
        if ends_in_newline:
            numbers += '"nl":1,'
        start = (
            f'{{"ts":{told[:-6] or 0},"type":"{short}","s":{self._session},"n":{n},"c":{connection},'
            f'"recv_ns":{told},{numbers}'
        )
        return _tuple(Line, (start.encode() + carried, short, message.market_ticker if message else None))


def decode_line(line: bytes) -> RawRecord:
    """The record in a raw line, with the very bytes that were received; raises Damaged."""
    try:
        stored = _stored.decode(line)
        payload = bytes(stored.data) if stored.b64 is None else base64.b64decode(stored.b64, validate=True)
    except (msgspec.DecodeError, ValueError) as error:
        raise Damaged(f"not a raw line ({error}): {line[:200]!r}") from error
    if stored.nl:
        payload += b"\n"
    kind = Kind.MARK if stored.mark else Kind.BINARY if stored.op == _BINARY_OPCODE else Kind.TEXT
    record = Record(stored.n, stored.recv_ns, stored.c, kind, payload)
    return RawRecord(stored.s, stored.type, stored.sid, stored.seq, record)


def _carried(payload: bytes) -> bytes:
    return _base64(payload) if _decode(payload) is None else b'"data":' + payload + b"}\n"


def _base64(payload: bytes) -> bytes:
    return b'"b64":"' + base64.b64encode(payload) + b'"}\n'


def _decode(body: bytes) -> _Frame | None:
    """What `body` says of itself; None unless it is exactly one JSON value on one line of UTF-8."""
    if _LF in body or _CR in body or body[:1] in _BLANKS or body[-1:] in _BLANKS:
        return None
    if len(body) > _SHALLOW and body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        return None
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into what it skips
        return _frame_in(body)
    except msgspec.ValidationError:
        return _other_value(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _other_value(body: bytes) -> _Frame | None:
    """JSON, but not of the venue's shape."""
    try:
        _value.decode(body)
    except msgspec.DecodeError:
        return None
    return _NOTHING


def _depth(body: bytes) -> int:
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(_STEP[bracket] for bracket in brackets), default=0)


def compressor() -> "zstandard.ZstdCompressionObj":
    """Compresses one file piece by piece, with a checksum of its content."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()


def decompressed(data: bytes, *, budget: int) -> Iterator[bytes]:
    """The pieces of one zstd frame; raises Damaged on anything else, or when they exceed `budget` bytes.

    A library's own limits are not to be trusted: `max_output_size` is ignored where the frame states a size, and a
    stream reader ends a cut file without an error.
    """
    frame = zstandard.ZstdDecompressor().decompressobj()
    for start in range(0, len(data), _INPUT_STEP):
        try:
            piece = frame.decompress(data[start : start + _INPUT_STEP])
        except zstandard.ZstdError as error:
            raise Damaged(f"not a sound zstd frame: {error}") from error
        budget -= len(piece)
        if budget < 0:
            raise Damaged("holds more than its manifest says")
        if piece:
            yield piece
        if frame.eof and (frame.unused_data or start + _INPUT_STEP < len(data)):
            raise Damaged("something follows the zstd frame")
    if not frame.eof:
        raise Damaged("the zstd frame is cut short")

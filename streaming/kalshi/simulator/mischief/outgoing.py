"""One frame on its way to a client, and what can be read of it; pure."""

import copy
import re
from collections.abc import Callable
from typing import Any

import msgspec

from streaming.kalshi.simulator.frames import CHANNEL_OF, encoded
from streaming.kalshi.simulator.mischief.fault import Fault, Frames

TEXT, BINARY = 0x1, 0x2
ACKS = frozenset(["subscribed", "unsubscribed", "ok", "error"])
_SEQ = re.compile(rb'"seq":-?\d+')


class Head(msgspec.Struct, frozen=True):
    """What faults select frames by."""

    type: str
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def ticker(self) -> str:
        """The market, or nothing."""
        try:
            return _named(self.msg).market_ticker
        except msgspec.DecodeError:
            return ""


class _Named(msgspec.Struct, frozen=True):
    market_ticker: str = ""


_head = msgspec.json.Decoder(Head).decode
_named = msgspec.json.Decoder(_Named).decode


class Out:
    """A frame, whether the ledger has it, whether the client gets it, and in which form."""

    __slots__ = (
        "handed",
        "head",
        "jump",
        "opcode",
        "payload",
        "recorded",
        "restart",
        "then",
        "vanished",
        "wire",
    )

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.head = _head(payload)
        self.opcode = TEXT
        self.recorded = self.handed = True
        # It was never made: the numbers behind it close up.
        self.vanished = False
        self.restart: int | None = None
        self.jump = 0
        # Instead of the payload in its frame: these bytes, and what the connection does then.
        self.wire: bytes | None = None
        self.then = ""

    def again(self) -> "Out":
        """The same once more."""
        return copy.copy(self)

    def renumber(self, seq: int) -> None:
        """Give it another number."""
        self.payload = _SEQ.sub(b'"seq":%d' % seq, self.payload, count=1)

    def edit(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change its JSON; the order of its keys stays."""
        body = msgspec.json.decode(self.payload)
        change(body)
        self.payload = encoded(body) + b"\n"


def selects(fault: Fault, out: Out, channel: str) -> bool:
    """Whether a fault of frames strikes this one; `channel` is the one of its sid."""
    head = out.head
    if not _is_of(fault.kind.strikes, head):
        return False
    if fault.channel and fault.channel not in (channel, CHANNEL_OF.get(head.type, channel)):
        return False
    return not fault.tickers or head.ticker in fault.tickers


def _is_of(frames: Frames, head: Head) -> bool:
    is_ack = head.type in ACKS
    match frames:
        case Frames.ANY:
            return True
        case Frames.ACKS:
            return is_ack
        case Frames.SNAPSHOTS:
            return head.type == "orderbook_snapshot"
        case Frames.NUMBERED:
            return not is_ack and head.seq is not None
        case Frames.UNNUMBERED:
            return not is_ack and head.seq is None
        case Frames.DATA:
            return not is_ack

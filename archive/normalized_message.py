"""One message of a feed's stream: of which kind, schema and day it is, or why it cannot be archived. Pure."""

from typing import NamedTuple

from streaming.glance import glance
from streaming.subjects import escape
from streaming.wire import WireError

# The second token of a subject to the file that its events are kept in.
FILES = {
    "trade": "trade",
    "orderbook": "orderbook",
    "checkpoint": "orderbook",
    "status": "status",
    "ticker": "ticker",
    "gap": "gap",
}
# In the stream, and no market data: the registry's database has them.
OTHERS = frozenset({"secmaster"})
SCHEMA = "v2"
# Structs that v1 has; its messages carry no origin.
OLD_SCHEMA, _OLD_TOKENS = "v1", frozenset({"trade", "orderbook", "status"})
SCHEMAS = (OLD_SCHEMA, SCHEMA)
MAX_BYTES = 512 * 1024  # what `wire.decode` reads
_WORD = 8
_CLOCKS_DIFFER_NS = 3600 * 10**9


class BusMessage(NamedTuple):
    """A stored message; `identity` is its Nats-Msg-Id, `stored_ns` the server's time."""

    seq: int
    subject: str
    identity: str
    stored_ns: int
    data: bytes


class Sorted(NamedTuple):
    """Where an event belongs; an event without origin counts as received when the bus stored it."""

    file: str
    schema: str
    received_ns: int
    session: str
    n: int


class Poison(ValueError):
    """A message that cannot be archived as an event."""


def sort(message: BusMessage) -> Sorted | None:
    """Where the message belongs; None for what is no market data; raises Poison."""
    _, token, address = (*message.subject.split(".", 2), "", "")[:3]
    if token in OTHERS:
        return None
    if token not in FILES:
        raise Poison(f"no events are kept of subject {message.subject}")
    require_framed(message.data)
    try:
        seen = glance(token, message.data)
    except WireError as error:
        raise Poison(str(error)) from error
    if escape(seen.address) != address:
        raise Poison(f"is of {seen.address!r} and came on {message.subject}")
    if seen.received_ns > message.stored_ns + _CLOCKS_DIFFER_NS:
        raise Poison(f"it says that it was received at {seen.received_ns}, after the bus stored it")
    if seen.session:
        return Sorted(FILES[token], SCHEMA, seen.received_ns, seen.session, seen.n)
    if token not in _OLD_TOKENS:
        raise Poison("it states no session")
    return Sorted(FILES[token], OLD_SCHEMA, message.stored_ns, "", 0)


def require_framed(data: bytes) -> None:
    """Raise Poison unless these bytes are exactly one Cap'n Proto message: messages are kept one after the other.

    https://capnproto.org/encoding.html#serialization-over-a-stream
    """
    if len(data) > MAX_BYTES:
        raise Poison(f"it is larger than {MAX_BYTES} bytes")
    if framed_length(data, 0) != len(data):
        raise Poison("its length is not what its first words say")


def framed_length(data: bytes, start: int) -> int:
    """The length in bytes of the message that begins at `start`, by its segment table."""
    segments = int.from_bytes(data[start : start + 4], "little") + 1
    if segments == 1:  # as nearly every message of ours
        return _WORD + int.from_bytes(data[start + 4 : start + _WORD], "little") * _WORD
    table = 4 * (segments + 1)
    if segments > 512:  # the reference implementation's own limit
        return -1
    sizes = data[start + 4 : start + table]
    words = sum(int.from_bytes(sizes[at : at + 4], "little") for at in range(0, len(sizes), 4))
    return (table + _WORD - 1) // _WORD * _WORD + words * _WORD

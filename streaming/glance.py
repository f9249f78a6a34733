"""The origin of a Cap'n Proto message of ours, at a third of the cost of decoding it. Pure."""

from collections.abc import Callable
from typing import Any, NamedTuple

import capnp

from streaming import wire
from streaming.delta_glance import glance_at_delta
from streaming.events import Status, TakerSide
from streaming.wire_schema import DELTA

_SIDES, _STATES, _BOOK_KINDS = len(TakerSide), len(Status), 3


class Glance(NamedTuple):
    """What sorting a message needs: its origin, and what its subject ends in. A v1 message has no origin: 0, "", 0, 0."""

    received_ns: int
    session: str
    n: int
    k: int
    address: str


def glance(token: str, payload: bytes) -> Glance:
    """Look at a message of a subject with this second token: what passes can be decoded; raises wire.WireError.

    Every pointer is followed by reading its field: the library's own `total_size` aborts the process on a bad one.
    """
    if token == "orderbook" and (delta := glance_at_delta(payload)):  # noqa: S105
        return Glance(*delta)
    try:
        with wire.opened(token, payload) as message:
            _CHECKS[token](message)
            if token == "gap":  # noqa: S105
                return _glance_at_gap(message)
            origin = message.origin
            return Glance(origin.receivedNs, origin.session, origin.n, origin.k, message.ticker)
    except wire.WireError:
        raise
    except (capnp.KjException, ValueError, AttributeError) as error:
        raise wire.WireError(f"on {token!r}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    """Without the library's addresses: what is said of the same bytes is the same each time."""
    return str(error).partition("\n")[0][:300]


def _glance_at_gap(message: Any) -> Glance:
    ended_ns = message.endTimestamp
    at = ended_ns or message.timestamp
    return Glance(at, message.session, message.number, 1 if ended_ns else 0, message.cause)


def _check_trade(message: Any) -> None:
    _require(message.side.raw, _SIDES, "side")
    message.tradeId  # noqa: B018  # a text is checked by reading it


def _check_book(message: Any) -> None:
    kind = message.kind.raw
    _require(kind, _BOOK_KINDS, "kind")
    message.marketId  # noqa: B018
    if kind == DELTA:
        message.change  # noqa: B018
    else:
        message.bids, message.asks  # noqa: B018


def _check_status(message: Any) -> None:
    _require(message.status.raw, _STATES, "status")
    message.result, message.venueEvent  # noqa: B018


def _check_ticker(message: Any) -> None:
    message.marketId  # noqa: B018


def _check_gap(message: Any) -> None:
    message.note, list(message.tickers)


def _require(value: int, known: int, field: str) -> None:
    if value >= known:
        raise wire.WireError(f"{field} {value} is none that this schema knows")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "trade": _check_trade,
    "orderbook": _check_book,
    "checkpoint": _check_book,
    "status": _check_status,
    "ticker": _check_ticker,
    "gap": _check_gap,
}

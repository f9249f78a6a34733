"""Reads a frame field by field, where it is not in every field as expected. Pure.

One field that the venue spoiled or changed must not lose the rest: it is left out and named. Only what decides the
event itself is never left out.
"""

import re
from typing import Any

import msgspec

from streaming.issues import IssueKind
from streaming.kalshi import messages
from streaming.kalshi.messages import Envelope, Frame

# A book without one of its sides would be another book; cents beside an exact number that was spoiled are rounded.
_VITAL: dict[type, frozenset[str]] = {
    messages.Snapshot: frozenset(messages.Snapshot.__struct_fields__) - {"market_id"},
    messages.Delta: frozenset(("price_dollars", "delta_fp")),
    messages.TradeMessage: frozenset(("yes_price_dollars", "count_fp")),
}
_FRAMES: dict[str, tuple[type[Any], type[Any]]] = {
    "orderbook_snapshot": (messages.SnapshotFrame, messages.Snapshot),
    "orderbook_delta": (messages.DeltaFrame, messages.Delta),
    "trade": (messages.TradeFrame, messages.TradeMessage),
    "ticker": (messages.TickerFrame, messages.TickerMessage),
    "market_lifecycle_v2": (messages.LifecycleFrame, messages.Lifecycle),
    "multivariate_market_lifecycle": (messages.LifecycleFrame, messages.Lifecycle),
}
MOST_DETAILS = 65_536  # bytes of a lifecycle message that are carried on
_MISSING = re.compile(r"Object missing required field `([^`]*)`")
_PLACE = re.compile(r"at `\$\.([^.\[`]+)")


class Unmappable(ValueError):
    """A frame of a known type that does not hold what it should; `ticker` is its market's, None where it names none."""

    def __init__(
        self, problem: str, *, kind: IssueKind = IssueKind.PARSE_ERROR, ticker: str | None = None
    ) -> None:
        super().__init__(problem[:300])
        self.kind = kind
        self.ticker = ticker


def read_frame(envelope: Envelope) -> tuple[Frame, list[str]] | None:
    """The frame and what was left out of it; None for types that hold no events; raises Unmappable."""
    known = _FRAMES.get(envelope.type)
    if known is None:
        return None
    frame, struct = known
    message, left_out = _message(bytes(envelope.msg), struct)
    details = {}
    if struct is messages.Lifecycle:
        details["details"], too_large = _details(bytes(envelope.msg))
        left_out += ["details"] if too_large else []
    outer = {"sid": envelope.sid, "seq": envelope.seq, "id": envelope.id}
    return frame(msg=message, sending_ts_ms=envelope.sending_ts_ms, **outer, **details), left_out


def _message(data: bytes, struct: type[Any]) -> tuple[Any, list[str]]:
    try:
        body = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Unmappable(str(error)) from error
    left_out: list[str] = []
    while True:
        try:
            return msgspec.convert(body, struct), left_out
        except msgspec.ValidationError as error:
            left_out.append(_leave_out(body, str(error), struct))


def _leave_out(body: Any, problem: str, struct: type[Any]) -> str:
    """Remove the field that the problem names; raises Unmappable where it must be there."""
    if missing := _MISSING.match(problem):
        raise Unmappable(missing[1], kind=IssueKind.MISSING_FIELD, ticker=_ticker(body))
    place = _PLACE.search(problem)
    if place is None or place[1] not in body or place[1] in _vital(struct):
        raise Unmappable(problem, ticker=_ticker(body))
    del body[place[1]]
    return f"{place[1]}: {problem}"[:300]


def _ticker(body: Any) -> str | None:
    named = body.get("market_ticker") if isinstance(body, dict) else None
    return named if isinstance(named, str) else None


def _vital(struct: type[Any]) -> frozenset[str]:
    required = {field.name for field in msgspec.structs.fields(struct) if field.required}
    return _VITAL.get(struct, frozenset()) | required


def _details(data: bytes) -> tuple[str, bool]:
    """(the message as text, whether it was too large or no text)."""
    if len(data) > MOST_DETAILS:
        return "", True
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return "", True

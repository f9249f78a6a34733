"""Faults in what a frame holds: fields that are new, missing, of another type, out of range; bytes that are no JSON; pure."""

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from streaming.kalshi.simulator.mischief.old_formats import as_once
from streaming.kalshi.simulator.mischief.outgoing import BINARY, Out

Body = dict[str, Any]
Given = Mapping[str, Any]
_SIDES = ("yes_dollars_fp", "no_dollars_fp")
_LEAST_MS = 100_000_000_000  # smaller numbers count seconds


def place_of(body: Body, given: Given) -> tuple[Body | None, str]:
    """The object that holds the field, and the field's name in it."""
    *outer, name = str(given["field"]).split(".")
    holder: Any = body if given["top"] else body.get("msg")
    for word in outer:
        holder = holder.get(word) if isinstance(holder, dict) else None
    return (holder, name) if isinstance(holder, dict) else (None, name)


def set_field(body: Body, given: Given) -> None:
    """Give a field a value, new or old."""
    holder, name = place_of(body, given)
    if holder is not None:
        holder[name] = given["value"]


def drop_field(body: Body, given: Given) -> None:
    """Take a field away."""
    holder, name = place_of(body, given)
    if holder is not None:
        holder.pop(name, None)


def wrong_type(body: Body, given: Given) -> None:
    """Say the same in another type, or something else."""
    holder, name = place_of(body, given)
    if holder is not None and name in holder:
        holder[name] = _otherwise(holder[name])


def _otherwise(value: Any) -> Any:
    match value:
        case bool() | int() | float():
            return str(value)
        case str():
            try:
                return float(value)
            except ValueError:
                return 7
        case dict():
            return []
        case _:
            return {}


def shift_times(body: Body, given: Given) -> None:
    """Move every time of the message."""
    message = body.get("msg")
    if isinstance(message, dict):
        for name, value in message.items():
            message[name] = _moved(name, value, given["seconds"])


def _moved(name: str, value: Any, seconds: float) -> Any:
    if not (name in ("ts", "time", "ts_ms") or name.endswith("_ts")):
        return value
    if isinstance(value, int):
        return value + round(seconds * (1000 if abs(value) > _LEAST_MS else 1))
    try:
        moved = datetime.fromisoformat(value) + timedelta(seconds=seconds)
    except (OverflowError, TypeError, ValueError):
        return value
    return moved.isoformat().replace("+00:00", "Z")


def empty_snapshot(body: Body, given: Given) -> None:
    """Leave both sides out."""
    for side in _SIDES:
        body["msg"].pop(side, None)


def old_format(body: Body, given: Given) -> None:
    """Write the frame as it once was."""
    as_once(body, given["form"])


# Faults that change a frame's JSON.
EDITS: dict[str, Callable[[Body, Given], None]] = {
    "unknown_field": set_field,
    "set_field": set_field,
    "drop_field": drop_field,
    "wrong_type": wrong_type,
    "shift_times": shift_times,
    "old_format": old_format,
    "empty_snapshots": empty_snapshot,
}


def edited(out: Out, name: str, given: Given) -> None:
    """Change one frame by the fault of that name."""
    out.edit(lambda body: EDITS[name](body, given))


# --- bytes ------------------------------------------------------------------------------------


def padded(payload: bytes, wanted: int) -> bytes:
    """The frame, made as long as wanted by a text that means nothing."""
    head, mark, tail = payload.rpartition(b"}\n")
    room = wanted - len(payload) - len(b',"padding":""')
    return head + b',"padding":"' + b"x" * max(room, 0) + b'"' + mark + tail


def invalid_utf8(payload: bytes) -> bytes:
    """The frame, with bytes inside its first text that no UTF-8 has."""
    return payload.replace(b'":"', b'":"\xff\xfe', 1)


def malformed(payload: bytes, how: str, seed: str) -> bytes:
    """The frame, spoiled in one of a few ways; `random` by a seed."""
    middle = len(payload) // 2
    match how:
        case "cut":
            return payload[:middle]
        case "doubled":
            return payload.rstrip(b"\n") + payload
        case "comma":
            return payload.replace(b",", b",,", 1)
        case "quote":
            return payload.replace(b'"', b"", 1)
        case "garbage":
            return b"<html>502 Bad Gateway</html>"
    return _mutated(payload, random.Random(seed))  # noqa: S311


def _mutated(payload: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, taken out or put in; printable ones, so that it stays text."""
    spoiled = bytearray(payload.rstrip(b"\n"))
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(spoiled))
        match rng.randrange(3):
            case 0:
                spoiled[place] = rng.randrange(32, 127)
            case 1:
                del spoiled[place]
            case _:
                spoiled.insert(place, rng.randrange(32, 127))
    return bytes(spoiled) + b"\n"


def as_binary(out: Out) -> None:
    """The same bytes, as a binary frame."""
    out.opcode = BINARY

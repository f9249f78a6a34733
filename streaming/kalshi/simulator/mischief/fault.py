"""What a kind of fault is, and one fault as it was ordered; pure."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """What a fault strikes."""

    FRAME = "frame"  # each frame on its way to a connection
    CONNECTION = "connection"  # a connection as a whole, once
    COMMAND = "command"  # each command that a client sends
    DOOR = "door"  # each handshake
    REST = "rest"  # each REST request
    EXCHANGE = "exchange"  # what everybody sees


class Frames(StrEnum):
    """Which frames a fault of frames strikes."""

    ANY = "any frame"
    DATA = "data frames"
    NUMBERED = "data frames with a seq"
    UNNUMBERED = "data frames without a seq"
    SNAPSHOTS = "snapshots"
    ACKS = "answers to commands"


REQUIRED = object()
EVERYBODY, NEXT = "all", "next"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, in words what it may be, the test of it, and what it is when it is not given."""

    name: str
    form: str
    accepts: Callable[[Any], bool]
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault; `codes` are rows of the fault catalogue, `count` how often it strikes unless told."""

    name: str
    says: str
    codes: tuple[str, ...]
    level: Level
    parameters: tuple[Parameter, ...] = ()
    count: int | None = None
    strikes: Frames = Frames.DATA


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, ordered: when it begins, how long or how often it strikes, and whom."""

    kind: Kind
    after_s: float = 0.0
    at_frame: int | None = None
    for_s: float | None = None
    count: int | None = None
    connection: int | str = EVERYBODY
    channel: str = ""
    tickers: frozenset[str] = frozenset()
    given: Mapping[str, Any] = field(default_factory=dict)


def whole(name: str, least: int, most: int, default: Any = REQUIRED) -> Parameter:
    """A whole number."""
    return Parameter(name, f"a whole number from {least} to {most}", _within(least, most, int), default)


def number(name: str, least: float, most: float, default: Any = REQUIRED) -> Parameter:
    """A number."""
    return Parameter(name, f"a number from {least:g} to {most:g}", _within(least, most, int, float), default)


def text(name: str, default: Any = REQUIRED) -> Parameter:
    """A text."""
    return Parameter(name, "a text", lambda value: isinstance(value, str), default)


def flag(name: str, *, default: bool) -> Parameter:
    """true or false."""
    return Parameter(name, "true or false", lambda value: isinstance(value, bool), default)


def one_of(name: str, *options: str, default: Any = REQUIRED) -> Parameter:
    """One of a few words."""
    return Parameter(name, f"one of {', '.join(options)}", lambda value: value in options, default)


def anything(name: str, default: Any = REQUIRED) -> Parameter:
    """Any JSON value."""
    return Parameter(name, "any JSON value", lambda value: True, default)


def bytes_in_base64(name: str, default: Any = REQUIRED) -> Parameter:
    """Bytes, written in base64."""
    return Parameter(name, "bytes in base64", _is_base64, default)


def is_names(value: Any) -> bool:
    """A list of texts, none of them empty."""
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


def _within(least: float, most: float, *types: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in types and least <= value <= most


def _is_base64(value: Any) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return False
    return True

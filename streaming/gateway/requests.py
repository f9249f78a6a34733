"""What a client may ask of the gateway, and what is wrong with what it asked. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum
from typing import Any
from urllib.parse import parse_qsl

ACTIONS = ("subscribe", "unsubscribe")
CHANNELS = ("trade", "orderbook")
EVERY_MARKET = "*"
MOST_SYMBOLS = 500  # in one request
MOST_SUBSCRIPTIONS = 10_000  # of one client
LONGEST_TICKER = 200
_KEYS = ("action", "symbols", "id", "channels")
_QUERY_KEYS = ("symbols", "channels")


class ErrorCode(IntEnum):
    """The numbers of `error` messages; they never change their meaning."""

    NOT_JSON = 4400
    UNKNOWN_SYMBOL = 4404
    UNKNOWN_ACTION = 4410
    BAD_SYMBOLS = 4411
    TOO_MANY_SYMBOLS = 4412
    UNKNOWN_CHANNEL = 4413
    UNKNOWN_KEY = 4414
    BAD_ID = 4415
    NOT_SUBSCRIBED = 4416
    TRY_AGAIN = 4503


class CloseCode(IntEnum):
    """Why the gateway closed a connection, besides WebSocket's own codes."""

    SLOW_CLIENT = 4008
    NOT_SIGNED_IN = 4401
    NO_ENVIRONMENT = 4503


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a request, and what would be right."""

    code: ErrorCode
    message: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A well-formed request; whether its symbols exist is for the registry to say."""

    action: str
    symbols: tuple[str, ...]
    channels: tuple[str, ...] = CHANNELS
    id: str | int | None = None

    @property
    def is_for_every_market(self) -> bool:
        """Whether it asks for the trades of all markets of the feed."""
        return EVERY_MARKET in self.symbols


def of_query(query: str) -> Request | Problem | None:
    """The subscription that a URL's `symbols=A,B&channels=trade` stands for; None where it asks for nothing."""
    try:
        given = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
    except ValueError as error:
        return Problem(ErrorCode.UNKNOWN_KEY, f"The URL's query cannot be read: {error}. {_example_url()}")
    for key in given:
        if key not in _QUERY_KEYS:
            return Problem(
                ErrorCode.UNKNOWN_KEY, f"No such key in the URL as {_short(key)}. {_example_url()}"
            )
    if not given:
        return None
    symbols = [symbol for symbol in given.get("symbols", "").split(",") if symbol]
    if not symbols:
        return Problem(ErrorCode.BAD_SYMBOLS, f"The URL names no symbol. {_example_url()}")
    document: dict[str, Any] = {"action": "subscribe", "symbols": symbols}
    if "channels" in given:
        document["channels"] = given["channels"].split(",")
    return of_document(document)


def of_text(text: str) -> Request | Problem:
    """The request in one text frame."""
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            return Problem(ErrorCode.NOT_JSON, f"A request is a JSON object. {_example()}")
        return of_document(document)
    except RecursionError:
        return Problem(ErrorCode.NOT_JSON, f"This JSON is nested too deeply. {_example()}")
    except ValueError:
        return Problem(ErrorCode.NOT_JSON, f"This is not JSON. {_example()}")


def of_document(document: dict[str, Any]) -> Request | Problem:
    """The request in a JSON object, or the first thing that is wrong with it."""
    request_id = document.get("id")
    problem = (
        _unknown_key(document)
        or _bad_id(request_id)
        or _bad_action(document.get("action"))
        or _bad_symbols(document.get("symbols"))
        or _bad_channels(document.get("channels"), document["symbols"])
    )
    if problem is not None:
        return problem
    symbols = tuple(dict.fromkeys(document["symbols"]))
    channels = tuple(dict.fromkeys(document.get("channels") or CHANNELS))
    return Request(document["action"], symbols, channels, request_id)


def _example() -> str:
    return 'Like {"action":"subscribe","symbols":["TICKER"]}'


def _example_url() -> str:
    return f"Known: {', '.join(_QUERY_KEYS)}, like /v1/stream?symbols=TICKER-A,TICKER-B&channels=trade"


def _unknown_key(document: dict[str, Any]) -> Problem | None:
    for key in document:
        if key not in _KEYS:
            return Problem(ErrorCode.UNKNOWN_KEY, f"No such key as {_short(key)}. {_meant(key, _KEYS)}")
    return None


def _bad_id(given: object) -> Problem | None:
    is_word = isinstance(given, str) and len(given) <= 64
    if given is None or is_word or (isinstance(given, int) and not isinstance(given, bool)):
        return None
    return Problem(ErrorCode.BAD_ID, "An id is an integer or a text of at most 64 characters.")


def _bad_action(action: object) -> Problem | None:
    if action in ACTIONS:
        return None
    if action is None:
        return Problem(ErrorCode.UNKNOWN_ACTION, f"The request names no action. {_example()}")
    return Problem(
        ErrorCode.UNKNOWN_ACTION, f"No such action as {_short(action)}. {_meant(str(action), ACTIONS)}"
    )


def _bad_symbols(symbols: object) -> Problem | None:
    if not isinstance(symbols, list) or not symbols or not all(_is_ticker(symbol) for symbol in symbols):
        limit = f"texts of 1 to {LONGEST_TICKER} characters"
        return Problem(ErrorCode.BAD_SYMBOLS, f"symbols is a list of tickers, {limit}. {_example()}")
    if len(symbols) > MOST_SYMBOLS:
        message = f"{len(symbols)} symbols in one request: at most {MOST_SYMBOLS}. Send several requests."
        return Problem(ErrorCode.TOO_MANY_SYMBOLS, message)
    for symbol in symbols:
        # Half a surrogate pair cannot be written as UTF-8, and PostgreSQL takes no NUL.
        if not symbol.isprintable():
            message = f"{_short(symbol)} is no ticker: it has characters that cannot be printed."
            return Problem(ErrorCode.BAD_SYMBOLS, message, symbol)
    return None


def _is_ticker(symbol: object) -> bool:
    return isinstance(symbol, str) and 0 < len(symbol) <= LONGEST_TICKER


def _bad_channels(channels: object, symbols: Sequence[str]) -> Problem | None:
    if channels is None:
        return None
    if not isinstance(channels, list) or not channels:
        return Problem(ErrorCode.UNKNOWN_CHANNEL, f"channels is a list of: {', '.join(CHANNELS)}.")
    for channel in channels:
        if channel not in CHANNELS:
            message = f"No such channel as {_short(channel)}. {_meant(str(channel), CHANNELS)}"
            return Problem(ErrorCode.UNKNOWN_CHANNEL, message)
    if EVERY_MARKET in symbols and "trade" not in channels:
        return Problem(
            ErrorCode.UNKNOWN_CHANNEL, 'Of all markets ("*") there are trades only: channels ["trade"].'
        )
    return None


def _short(given: object) -> str:
    text = json.dumps(given, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _meant(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word.lower()[:60], known, n=1)
    return f"Did you mean {json.dumps(near[0])}?" if near else f"Known: {', '.join(known)}."

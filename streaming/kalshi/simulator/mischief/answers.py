"""What a handshake or a REST request is answered with instead, under the faults that are on; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streaming.kalshi.simulator import auth
from streaming.kalshi.simulator.mischief.running import Running

_WHY: Mapping[str, auth.Body] = {
    "bad_signature": auth.BAD_SIGNATURE, "unknown_key": auth.UNKNOWN_KEY,
    "missing": auth.MISSING, "expired": auth.EXPIRED,
}  # fmt: skip
TOO_MANY = {"error": "too many requests"}  # verbatim, without Retry-After (kalshi.md 5)
_FORBIDDEN = "<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>"
_PAGE = ("<html><head><title>{status}</title></head><body><h1>{status}</h1><p>", "</p></body></html>")
RESET = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, further headers, and a body: an object for JSON, a text for HTML. Status 0: reset."""

    status: int
    body: Any = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def handshake(faults: Iterable[Running]) -> Reply | None:
    """How an upgrade is refused, if a fault is on that does."""
    for running in faults:
        match running.fault.kind.name:
            case "reset_connection" if running.strike():
                return Reply(RESET)
            case "refuse_handshake" if running.strike():
                return refusal(running.fault.given)
    return None


def refusal(given: Mapping[str, Any]) -> Reply:
    """An answer of this status, as the venue or what stands before it writes it."""
    status, headers = given["status"], {}
    if given["retry_after"] is not None:
        headers["Retry-After"] = f"{given['retry_after']:g}"
    if 300 <= status < 400:
        headers["Location"] = given.get("location", "")
    if status == 401:
        return Reply(status, _WHY[given.get("why", "bad_signature")], headers)
    if status == 429:
        return Reply(status, TOO_MANY, headers)
    return Reply(status, _FORBIDDEN if status == 403 else _page(status, given["bytes"]), headers)


def rest(faults: Iterable[Running], path: str) -> Reply | None:
    """How a request fails, if a fault is on that makes it."""
    for running in faults:
        if running.fault.kind.name == "fail_rest" and _is_below(running, path) and running.strike():
            given = running.fault.given
            return Reply(RESET) if given["status"] == RESET else refusal(given)
    return None


def delay_s(faults: Iterable[Running], path: str) -> float:
    """How late an answer comes."""
    slow = [one for one in faults if one.fault.kind.name == "slow_rest" and _is_below(one, path)]
    return float(sum(one.fault.given["seconds"] for one in slow if one.strike()))


def emptied(faults: Iterable[Running], path: str, body: Any) -> Any:
    """The answer without its rows, if a fault is on that takes them."""
    empty = [one for one in faults if one.fault.kind.name == "empty_rest" and _is_below(one, path)]
    if not isinstance(body, dict) or not any(one.strike() for one in empty):
        return body
    return {
        key: [] if isinstance(value, list) else "" if key == "cursor" else value
        for key, value in body.items()
    }


def _is_below(running: Running, path: str) -> bool:
    return path.startswith(running.fault.given["path"])


def _page(status: int, size: int) -> str:
    head, tail = (part.format(status=status) for part in _PAGE)
    return head + "x" * max(0, size - len(head) - len(tail)) + tail

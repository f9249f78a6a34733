"""What a client's command says, and the errors that answer it (kalshi.md 3.2, 3.3); pure."""

import json
from typing import Any

from streaming.kalshi.simulator.audience import Subscription

ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    6: "Already subscribed",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    17: "Internal error",
    18: "Command timeout",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
}


def told(code: int) -> str:
    """The text of an error's code."""
    return ERRORS.get(code, "Unknown error")


class CommandError(Exception):
    """Answer the command with this code; the connection goes on."""

    def __init__(self, code: int, subscription: Subscription | None = None) -> None:
        self.code = code
        self.subscription = subscription
        super().__init__(told(code))


def decoded(message: str | bytes) -> dict[str, Any]:
    """A command as an object."""
    try:
        command = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise CommandError(1) from error
    if not isinstance(command, dict):
        raise CommandError(1)
    return command


def command_id(command: dict[str, Any]) -> int | None:
    """The client's id; 0 counts as none."""
    found = command.get("id")
    return found if isinstance(found, int) and found else None


def params(command: dict[str, Any]) -> dict[str, Any]:
    """What the command is about."""
    found = command.get("params")
    if not isinstance(found, dict):
        raise CommandError(2)
    return found


def only_sid(params: dict[str, Any]) -> Any:
    """The one subscription that an update names."""
    sid, sids = params.get("sid"), params.get("sids")
    if sid is not None and sids is not None:
        raise CommandError(12)
    if sid is not None:
        return sid
    if not isinstance(sids, list) or len(sids) != 1:
        raise CommandError(12)
    return sids[0]


def names(one: Any, many: Any) -> list[str]:
    """A single name or a list of them, each once."""
    found = [one] if one else (many or [])
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise CommandError(11)
    return list(dict.fromkeys(found))


def echo(command_id: int | None) -> dict[str, Any]:
    """The id, as an answer repeats it."""
    return {} if command_id is None else {"id": command_id}


def numbers(subscription: Subscription) -> dict[str, int]:
    """The sid and its next number, of channels that have one."""
    seq = subscription.next_seq()
    return {"sid": subscription.sid} if seq is None else {"sid": subscription.sid, "seq": seq}

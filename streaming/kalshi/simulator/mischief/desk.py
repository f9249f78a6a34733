"""What becomes of a client's command under the faults of commands; pure."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from zlib import crc32

from streaming.kalshi.simulator import commands
from streaming.kalshi.simulator.mischief.running import Running

RowT = TypeVar("RowT")
_SHARES = 10_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Lost, refused with a code, or obeyed: late, in another order, with an error behind it."""

    message: str | bytes
    is_lost: bool = False
    code: int = 0
    delay_s: float = 0.0
    gather_s: float | None = None
    seed: int = 0
    complaint: int = 0
    # Of whom the error speaks.
    command_id: int | None = None
    channel: str = ""


class Desk:
    """One connection's commands; it remembers how many of them each fault let pass."""

    def __init__(self) -> None:
        self._passed: dict[int, int] = {}

    def judge(self, message: str | bytes, faults: Iterable[Running]) -> Verdict:
        """What becomes of one command."""
        verdict = Verdict(message)
        try:
            command = commands.decoded(message)
        except commands.CommandError:
            return verdict
        verdict = replace(verdict, command_id=commands.command_id(command), channel=_channel(command))
        for running in faults:
            if not verdict.is_lost and self._strikes(running, command):
                verdict = _judged(verdict, running, command)
        return verdict

    def _strikes(self, running: Running, command: dict[str, Any]) -> bool:
        given = running.fault.given
        if given.get("cmd", "any") not in ("any", command.get("cmd")):
            return False
        passed = self._passed.get(running.number, 0)
        if passed < given.get("skip", 0):
            self._passed[running.number] = passed + 1
            return False
        if running.fault.kind.name == "refuse_tickers":
            return bool(_left_out(running, command)) and running.strike()
        return running.strike()


def _judged(verdict: Verdict, running: Running, command: dict[str, Any]) -> Verdict:
    given = running.fault.given
    match running.fault.kind.name:
        case "lose_commands":
            return replace(verdict, is_lost=True)
        case "refuse_commands":
            return replace(verdict, code=given["code"])
        case "slow_acks":
            return replace(verdict, delay_s=verdict.delay_s + given["seconds"])
        case "reorder_acks":
            return replace(verdict, gather_s=given["within"], seed=given["seed"])
    return _without(verdict, command, _left_out(running, command), given["code"])


def _left_out(running: Running, command: dict[str, Any]) -> set[str]:
    """The tickers that a subscription does not get; a share of them is always the same ones."""
    if command.get("cmd") == "update_subscription" and _params(command).get("action") != "add_markets":
        return set()
    fault, tickers = running.fault, _tickers(command)
    if fault.channel and fault.channel != _channel(command):
        return set()
    share = fault.given["share"] * _SHARES
    return {
        one
        for one in tickers
        if one in fault.tickers or (isinstance(one, str) and crc32(one.encode()) % _SHARES < share)
    }


def _without(verdict: Verdict, command: dict[str, Any], left_out: set[str], code: int) -> Verdict:
    params = _params(command)
    kept = [one for one in _tickers(command) if one not in left_out]
    if not kept:
        return replace(verdict, code=code, is_lost=not code)
    rewritten = {**command, "params": {**params, "market_tickers": kept}}
    return replace(verdict, message=json.dumps(rewritten), complaint=code)


def shuffled(gathered: Sequence[RowT], seed: int) -> list[RowT]:
    """The same in another order: never the first one first, if there are two."""
    order = list(gathered)
    random.Random(seed).shuffle(order)  # noqa: S311
    if len(order) > 1 and order[0] is gathered[0]:
        order.append(order.pop(0))
    return order


def _params(command: dict[str, Any]) -> dict[str, Any]:
    params = command.get("params")
    return params if isinstance(params, dict) else {}


def _tickers(command: dict[str, Any]) -> list[Any]:
    one, many = (_params(command).get(name) for name in ("market_ticker", "market_tickers"))
    return many if isinstance(many, list) else [one] if one else []


def _channel(command: dict[str, Any]) -> str:
    channels = _params(command).get("channels")
    return str(channels[0]) if isinstance(channels, list) and channels else ""

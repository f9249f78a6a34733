"""The control endpoint: one order a message in, one answer out; and how a program asks it."""

import json
from typing import Any

from websockets.sync.client import connect

from registry.refusal import ExitCode, Reason, Refused
from streaming.kalshi.simulator.mischief.script import parse_fault, parse_order, reasons_of
from streaming.kalshi.simulator.trouble import Trouble

_ANSWER_WITHIN_S = 10.0


def answer(trouble: Trouble, message: str | bytes, now_s: float) -> str:
    """Obey one order: a fault, `{"do":"list"}`, or `{"do":"clear"}` with an `id` or without."""
    try:
        text = message.decode(errors="replace") if isinstance(message, bytes) else message
        return json.dumps({"ok": True, **_obeyed(trouble, parse_order(text), now_s)})
    except Refused as refused:
        return json.dumps({"ok": False, "reasons": reasons_of(refused)})


def _obeyed(trouble: Trouble, order: dict[str, Any], now_s: float) -> dict[str, Any]:
    match order.get("do"):
        case "list":
            return {"faults": trouble.mischief.listed(now_s), "handed": trouble.mischief.handed}
        case "clear":
            number = order.get("id")
            cleared = trouble.clear(number)
            if number is not None and not cleared:
                raise Refused(
                    [Reason(f"There is no fault {number!r}.", '{"do":"list"} shows those that are.')]
                )
            return {"cleared": cleared}
    return {"id": trouble.order(parse_fault(order))}


def ask(host: str, port: int, order: str) -> dict[str, Any]:
    """Send one order to a running exchange; raises Refused."""
    url = f"ws://{host}:{port}/sim/control"
    try:
        with connect(url, open_timeout=_ANSWER_WITHIN_S, proxy=None) as door:
            door.send(order)
            told: dict[str, Any] = json.loads(door.recv(timeout=_ANSWER_WITHIN_S))
    except (OSError, TimeoutError) as error:
        reason = Reason(
            f"No simulated exchange answers at {host}:{port}: {error}.", "Start it: ssmd exchange start."
        )
        raise Refused([reason], exit_code=ExitCode.UNAVAILABLE) from error
    if not told["ok"]:
        raise Refused([Reason(one["problem"], one["remedy"]) for one in told["reasons"]])
    return told

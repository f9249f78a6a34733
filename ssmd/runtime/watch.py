"""The foreground of `ssmd up`: says what fails and is started again, and now and then how much came in."""

import asyncio
import time
from pathlib import Path

from ssmd.runtime import flow
from ssmd.runtime.stack import Stack
from ssmd.runtime.supervisor import State
from ssmd.runtime.talk import amount, last_lines

STATUS_EVERY_SECONDS = 30.0
LOOK_EVERY_SECONDS = 1.0


def watch(stack: Stack) -> None:
    """Stay until asked to stop; refused when supervisord itself is gone."""
    next_status = time.monotonic() + STATUS_EVERY_SECONDS / 3
    while True:
        time.sleep(LOOK_EVERY_SECONDS)
        if not stack.supervisor.is_running:
            problem = "supervisord ended without being asked; every program ended with it"
            raise stack.failure(problem, "supervisord", stack.log_of("supervisord"))
        states = stack.supervisor.states()
        for name, state in states.items():
            if news := change(stack.known.get(name), state):
                stack.talk.say(
                    f"{name} {news}. Its log, {stack.log_of(name)}, ends:\n{end_of(stack.log_of(name))}"
                )
        stack.known = states
        if time.monotonic() >= next_status:
            next_status += STATUS_EVERY_SECONDS
            stack.talk.say(status(stack, states))


def end_of(log: Path) -> str:
    """The last words of a log, indented."""
    return "\n".join(f"    {line}" for line in last_lines(log, lines=3).splitlines())


def change(before: State | None, now: State) -> str:
    """What an operator should know of the change; empty for what is in order."""
    if before is None or before == now:
        return ""
    if now.has_given_up and not before.has_given_up:
        return "failed again and again and was given up; the rest runs on"
    if now.state == "EXITED":
        return f"ended by itself (exit code {now.exit_code})"
    if now.state == "BACKOFF" and before.state != "BACKOFF":
        return "ended at once and is tried again"
    if now.pid and before.pid and now.pid != before.pid:
        return "ended by itself and was started again"
    return ""


def status(stack: Stack, states: dict[str, State]) -> str:
    """One line: the bus, the capture log, the programs."""
    total = asyncio.run(flow.bus_total(stack.bus.url, stack.plan.spec.transport.stream))
    bus = "no answer" if total is None else f"{total:,} messages"
    running = sum(state.runs for state in states.values())
    others = [f"{state.name} {state.state}" for state in states.values() if not state.runs]
    unwell = f" ({', '.join(others)})" if others else ""
    captured = amount(flow.captured_bytes(stack.capture))
    return f"bus {bus} · capture log {captured} · {running} programs running{unwell}"

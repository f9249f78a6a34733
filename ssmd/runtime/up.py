"""`ssmd up` from the first check to the end: checks, prepares the registry, runs the stack, listens to signals."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from django.conf import settings

from registry import secrets
from registry.bootstrap import bootstrap
from registry.preflight import RecordingPlan, connector_plan, environment_usable, registry_ready
from registry.refusal import ExitCode, require
from ssmd.key_check import key_usable
from ssmd.runtime import embedded, home, schedule
from ssmd.runtime.checks import ports_free
from ssmd.runtime.stack import Stack, UpOptions
from ssmd.runtime.talk import Talk
from ssmd.runtime.watch import watch


class StopAsked(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP."""


def up(options: UpOptions, *, stdout: TextIO, stderr: TextIO) -> None:
    """Start everything, run until asked to stop, stop everything in order."""
    talk = Talk(stderr)
    with _signals(talk):
        try:
            _up(options, stdout, talk)
        except StopAsked:
            talk.say("All is stopped; `ssmd up` goes on from here.")


def _up(options: UpOptions, stdout: TextIO, talk: Talk) -> None:
    folder = Path(settings.SSMD_HOME)
    home.prepare(folder)
    lock = home.hold(folder)
    try:
        web = ("the web server", "--web-port", options.web_port)
        exchange = ("the simulated exchange", "--exchange-port", options.exchange.port)
        require(ports_free([web, exchange]), exit_code=ExitCode.CONFLICT)
        servers = embedded.servers(folder)
        plan = _registry(options, talk)
        stack = Stack(options, plan, servers, folder, talk)
        try:
            stack.start(stdout)
            watch(stack)
        finally:
            stack.stop()
    finally:
        os.close(lock)


def _registry(options: UpOptions, talk: Talk) -> RecordingPlan:
    """The registry made ready, and what it says of the environment."""
    talk.say("preparing the registry ...")
    if not registry_ready():  # it is there already: a wrong name changes nothing in it
        require(environment_usable(options.environment))
    endpoint = f"ws://{embedded.HOST}:{options.exchange.port}/trade-api/ws/v2"
    for line in bootstrap(sim_endpoint=endpoint):
        talk.say(f"  {line}")
    plan = connector_plan(options.environment)
    require(key_usable(plan.secret_ref))
    if plan.simulated:
        require(secrets.secret_usable(plan.secret_ref, ("api_key", "public_key")))
    schedule.declare(plan.environment, is_simulated=plan.simulated)
    return plan


@contextmanager
def _signals(talk: Talk) -> Iterator[None]:
    """The first request to stop raises StopAsked wherever we are; later ones only get an answer."""
    asked = False

    def ask(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            talk.say(f"already stopping; `kill -9 {os.getpid()}` would end everything at once")
            return
        asked = True
        talk.say(f"{signal.Signals(number).name}: stopping everything in order ...")
        raise StopAsked

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

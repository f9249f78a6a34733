"""Carries out the faults that begin, and undoes those that end: on connections, rules and markets."""

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from registry.refusal import Reason, Refused
from streaming.kalshi.signing import KeyUnusable
from streaming.kalshi.signing import public_key as checked_key
from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.client import Client
from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.front import Front
from streaming.kalshi.simulator.life import RandomLife
from streaming.kalshi.simulator.listings import SECOND_US, rolling_slots
from streaming.kalshi.simulator.mischief.fault import EVERYBODY, Fault, Level
from streaming.kalshi.simulator.mischief.outgoing import BINARY, TEXT
from streaming.kalshi.simulator.mischief.running import Mischief, Running
from streaming.kalshi.simulator.mischief.strangers import strangers
from streaming.kalshi.simulator.rules import Rules

log = structlog.get_logger()
Given = Mapping[str, Any]
_NEEDS_LIFE = ("burst", "roll_over", "late_determination", "deactivate", "move_close")
# What is over after its time; without a time it stays with the connection.
_RECOVERS = ("stop_reading", "drip")
# What each fault of the rules makes of them; at its end they are as they were.
_RULES: dict[str, Callable[[Given], dict[str, Any]]] = {
    "refuse_repeats": lambda given: {"merges_repeats": False},
    "flip_yes_price": lambda given: {"yes_price_default": True},
    "first_sid": lambda given: {"first_sid": given["sid"]},
    "limit_markets": lambda given: {"most_markets": given["most"]},
    "wrong_clock": lambda given: {"clock_offset_ms": round(given["offset"] * 1000)},
    "pause_exchange": lambda given: {
        "is_paused": True,
        "paused_status": given["status"],
        "resumes_us": _now_us() + round(given["resumes_in"] * SECOND_US),
    },
}


class Trouble:
    """The faults of one exchange at work."""

    def __init__(
        self,
        mischief: Mischief,
        exchange: Exchange,
        life: RandomLife | None,
        front: Front,
        clients: Mapping[int, Client],
    ) -> None:
        self.mischief = mischief
        self._exchange, self._life, self._front, self._clients = exchange, life, front, clients
        self._coming: list[tuple[int, Any]] = []

    def order(self, fault: Fault) -> int:
        """Add a fault at run time and carry it out if it is due; raises Refused."""
        impossible = self.impossible(fault)
        if impossible:
            raise Refused(impossible)
        number = self.mischief.add(fault, time.monotonic())
        self.look()
        return number

    def clear(self, number: int | None) -> list[int]:
        """End one, or all."""
        cleared = self.mischief.clear(number, time.monotonic())
        self.look()
        return cleared

    def impossible(self, fault: Fault) -> list[Reason]:
        """Why this exchange cannot do that."""
        name = fault.kind.name
        if name in _NEEDS_LIFE and self._life is None:
            return [Reason(f"{name} needs random markets, and there are none.", "Start with --markets N.")]
        if name == "change_key":
            try:
                checked_key(fault.given["public_key"])
            except KeyUnusable as error:
                return [Reason(f"The public key cannot be used: {error}.", "Give one in PEM.")]
        return []

    def connected(self, client: Client) -> None:
        """A client came in."""
        self.mischief.connected(client.number, time.monotonic())
        self.look()
        self._strike_all((client,))

    def look(self) -> None:
        """Carry out what is due by now."""
        self.mischief.advance(time.monotonic())
        begun, ended = self.mischief.news()
        for running in begun:
            self._begin(running)
        for running in ended:
            self._end(running)

    def go_on(self) -> None:
        """A tick: what is due, and what trickles."""
        self.look()
        now_us, now_s = _now_us(), time.monotonic()
        while self._coming and self._coming[-1][0] <= now_us:
            self._exchange.publish((self._coming.pop()[1],), now_us=now_us)
        for client in self._clients.values():
            if not client.is_sound:
                client.go_on(now_s)

    def _begin(self, running: Running) -> None:
        fault = running.fault
        log.info("fault begins", id=running.number, do=fault.kind.name)
        if fault.kind.level is Level.CONNECTION:
            self._strike_all(tuple(self._clients.values()))
        elif fault.kind.level is Level.EXCHANGE:
            running.strike()
            if fault.kind.name in _RULES:
                self._set_rules(_RULES[fault.kind.name](fault.given))
            self._change_markets(fault)
            if fault.kind.name == "change_key":
                self._front.door = Door({fault.given["key_id"]: fault.given["public_key"]})

    def _end(self, running: Running) -> None:
        fault = running.fault
        log.info(
            "fault is over", id=running.number, do=fault.kind.name, struck=running.struck,
            unrecorded=running.unrecorded,
        )  # fmt: skip
        if fault.kind.name in _RECOVERS and fault.for_s is not None:
            for client in self._clients.values():
                if running.connection in (EVERYBODY, client.number):
                    client.recover()
        elif fault.kind.name in _RULES:
            usual = Rules()
            self._set_rules({name: getattr(usual, name) for name in _RULES[fault.kind.name](fault.given)})
        elif self._life and fault.kind.name == "late_determination":
            self._life.determined_later_us = 0
        elif self._life and fault.kind.name == "deactivate":
            self._publish(self._life.activate(fault.tickers, _now_us()))

    def _set_rules(self, changes: Mapping[str, Any]) -> None:
        rules = self._exchange.venue.rules
        for name, value in changes.items():
            setattr(rules, name, value)
        if "yes_price_default" in changes:
            for client in self._clients.values():
                client.conversation.price_by_default(on_yes_scale=rules.yes_price_default)

    def _change_markets(self, fault: Fault) -> None:
        given, now_us, life = fault.given, _now_us(), self._life
        if fault.kind.name == "unknown_markets":
            coming = strangers(given["markets"], given["on"], seconds=given["seconds"], now_us=now_us)
            self._coming = sorted([*self._coming, *coming], key=lambda one: -one[0])
        if life is None:
            return
        match fault.kind.name:
            case "burst":
                self._publish(life.burst(given["frames"], now_us))
            case "roll_over":
                slots = rolling_slots(given["markets"], period_us=_us(given["period"]), times=given["times"])
                self._publish(life.roll_over(slots, lead_us=_us(given["lead"]), now_us=now_us))
            case "late_determination":
                life.determined_later_us = _us(given["seconds"])
            case "deactivate":
                self._publish(life.deactivate(fault.tickers, now_us))
            case "move_close":
                self._publish(life.move_close(fault.tickers, now_us + _us(given["seconds"])))

    def _publish(self, frames: list[Any]) -> None:
        self._exchange.publish(frames, now_us=_now_us())
        for client in self._clients.values():
            client.flush()

    def _strike_all(self, clients: tuple[Client, ...]) -> None:
        for running in self.mischief.at(Level.CONNECTION):
            for client in clients:
                if running.concerns(client.number) and running.strike():
                    strike(client, running.fault)
            fault = running.fault
            if running.struck and fault.for_s is None and fault.count is None:
                self.mischief.end(running)


def strike(client: Client, fault: Fault) -> None:
    """One fault of connections on one connection."""
    given = fault.given
    match fault.kind.name:
        case "half_open":
            client.die()
        case "stop_reading":
            client.stop_reading()
        case "drip":
            client.drip(given["bytes_per_second"])
        case "close":
            _once_open(client, given, lambda: client.close(given["code"], given["reason"]))
        case "reset":
            _once_open(client, given, client.reset)
        case "end_subscription":
            client.conversation.end_subscriptions(given["code"], channel=fault.channel, now_ms=_now_ms())
            client.flush()
        case "inject":
            payload = base64.b64decode(given["b64"]) if given["b64"] else given["text"].encode()
            for _ in range(given["times"]):
                client.inject(payload, BINARY if given["binary"] else TEXT)
        case "unknown_type":
            for _ in range(given["times"]):
                client.conversation.say(given["type"], channel=fault.channel, now_ms=_now_ms())
            client.flush()


def _once_open(client: Client, given: Given, act: Callable[[], None]) -> None:
    wait_s = client.since_s + given["open_for"] - time.monotonic()
    if wait_s <= 0:
        act()
    else:
        asyncio.get_running_loop().call_later(wait_s, act)


def _us(seconds: float) -> int:
    return round(seconds * SECOND_US)


def _now_us() -> int:
    return time.time_ns() // 1000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

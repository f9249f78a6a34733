"""A client's commands on their way to its conversation: at once, or as faults of commands have it."""

import asyncio
import time
from collections.abc import Callable

from streaming.kalshi.simulator.client import Client
from streaming.kalshi.simulator.mischief.desk import Desk, Verdict, shuffled
from streaming.kalshi.simulator.mischief.fault import Level
from streaming.kalshi.simulator.mischief.running import Mischief

Obey = Callable[[Client, str | bytes], None]


class Hearing:
    """One client's ear."""

    def __init__(self, client: Client, mischief: Mischief, obey: Obey) -> None:
        self._client, self._mischief, self._obey = client, mischief, obey
        self._desk = Desk()
        self._gathered: list[Verdict] = []

    def hear(self, message: str | bytes) -> None:
        """A command came in."""
        if self._client.is_dead:
            return
        faults = [one for one in self._mischief.at(Level.COMMAND) if one.concerns(self._client.number)]
        if not faults:
            self._obey(self._client, message)
            return
        verdict = self._desk.judge(message, faults)
        if verdict.gather_s is not None:
            self._gather(verdict, verdict.gather_s)
        elif verdict.delay_s:
            asyncio.get_running_loop().call_later(verdict.delay_s, self._execute, verdict)
        else:
            self._execute(verdict)

    def _gather(self, verdict: Verdict, within_s: float) -> None:
        self._gathered.append(verdict)
        if len(self._gathered) == 1:
            asyncio.get_running_loop().call_later(within_s, self._execute_shuffled)

    def _execute_shuffled(self) -> None:
        gathered, self._gathered = self._gathered, []
        for verdict in shuffled(gathered, gathered[0].seed):
            self._execute(verdict)

    def _execute(self, verdict: Verdict) -> None:
        if verdict.is_lost:
            return
        if verdict.code:
            self._complain(verdict, verdict.code)
            return
        self._obey(self._client, verdict.message)
        if verdict.complaint:
            self._complain(verdict, verdict.complaint)

    def _complain(self, verdict: Verdict, code: int) -> None:
        now_ms = time.time_ns() // 1_000_000
        self._client.conversation.complain(code, verdict.command_id, channel=verdict.channel, now_ms=now_ms)
        self._client.flush()

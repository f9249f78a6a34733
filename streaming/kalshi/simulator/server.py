"""The process: one port for REST, WebSocket and control, the clock, and the tasks that let time pass."""

import asyncio
import contextlib
import itertools
import time
from functools import partial
from typing import Any, TextIO

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from registry.refusal import Refused
from streaming import lifetime
from streaming.kalshi.simulator import control, recording
from streaming.kalshi.simulator.client import Client
from streaming.kalshi.simulator.combos import Combos
from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.front import CONTROL_PATH, WEBSOCKET_PATH, Front
from streaming.kalshi.simulator.hearing import Hearing
from streaming.kalshi.simulator.ledger import Ledger
from streaming.kalshi.simulator.life import RandomLife
from streaming.kalshi.simulator.listener import Listener
from streaming.kalshi.simulator.mischief.running import Mischief
from streaming.kalshi.simulator.mischief.script import parse_fault
from streaming.kalshi.simulator.options import DEFAULT_MARKETS, Options
from streaming.kalshi.simulator.replay import Replay
from streaming.kalshi.simulator.sockets import Socket
from streaming.kalshi.simulator.trouble import Trouble
from streaming.kalshi.simulator.venue import Venue

__all__ = ["Options", "Service", "run"]

log = structlog.get_logger()

TICK_S = 0.02
# Frames of a replay between two turns of the event loop.
BATCH = 256
# A replay runs this much ahead rather than sleep for less.
SHORTEST_SLEEP_S = 0.001


def run(options: Options, stderr: TextIO) -> None:
    """Serve until SIGTERM, SIGINT or the end of a `--once` replay."""
    service = Service(options)
    try:
        lifetime.run("exchange", partial(service.serve, stderr=stderr))
    finally:
        service.close()


class Service:
    """Sockets around an exchange."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._life: RandomLife | None = None
        self._combos: Combos | None = None
        self.exchange = self._build()
        self._ledger = Ledger(options.ledger) if options.ledger else None
        self._numbers = itertools.count(self._ledger.last_connection + 1 if self._ledger else 1)
        self._clients: dict[int, Client] = {}
        self._reading = asyncio.Event()
        self._close_code = 1001
        self._mischief = Mischief(options.faults)
        front = Front(self.exchange, options.door, self._mischief, rest_tokens=options.rest_tokens)
        self.trouble = Trouble(self._mischief, self.exchange, self._life, front, self._clients)
        impossible = [reason for fault in options.faults for reason in self.trouble.impossible(fault)]
        if impossible:
            raise Refused(impossible)
        self._listener = Listener(options, self._serve_connection, front.process)
        # Where it listens, once it does.
        self.port = 0

    def fault(self, **entry: Any) -> int:
        """Order a fault as a script would: `service.fault(do="skip_seq", count=3)`; returns its number."""
        return self.trouble.order(parse_fault(entry))

    def _build(self) -> Exchange:
        options, venue, replay = self._options, Venue(), None
        if options.replay:
            contents = recording.survey(recording.find(options.replay))
            replay = Replay(venue, contents, speed=options.speed, original_times=options.original_times)
        markets = options.markets if options.markets is not None else 0 if replay else DEFAULT_MARKETS
        if markets:
            self._life = RandomLife(
                venue, seed=options.seed, markets=markets, rate=options.rate, now_us=_now_us(),
                incidents=options.incidents,
            )  # fmt: skip
        if options.combos:
            self._combos = Combos(venue, count=options.combos, seed=options.seed, now_us=_now_us())
        return Exchange(venue, replay)

    async def serve(self, stop: asyncio.Event, *, stderr: TextIO) -> None:
        """Listen, live, and say goodbye."""
        await self._listener.open()
        self.port = self._listener.port
        stderr.write(self._greeting())
        stderr.flush()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(job) for job in (self._heartbeat(), self._live(), self._play(stop))
                ]
                await stop.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._flush()
            for client in self._clients.values():
                client.give_up()
            await self._listener.close(self._close_code)

    def close(self) -> None:
        """Make the ledger durable."""
        if self._ledger:
            self._ledger.close()

    def _greeting(self) -> str:
        address = f"{'https' if self._options.tls else 'http'}://{self._options.host}:{self.port}"
        replay = self.exchange.replay
        lives = "replaying recordings" if replay else "random orders"
        markets = len(self.exchange.venue.markets)
        return (
            f"Simulated exchange listening on {address} (REST /trade-api/v2, WebSocket {WEBSOCKET_PATH}), "
            f"{lives}, {markets} markets listed\n"
        )

    # --- clients --------------------------------------------------------------------------

    async def _serve_connection(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Socket)
        assert connection.request is not None
        is_control = connection.request.path.partition("?")[0] == CONTROL_PATH
        with contextlib.suppress(ConnectionClosed):  # a client may leave as it likes
            await (self._serve_control(connection) if is_control else self._serve_client(connection))

    async def _serve_control(self, connection: Socket) -> None:
        async for message in connection:
            await connection.send(control.answer(self.trouble, message, time.monotonic()))

    async def _serve_client(self, connection: Socket) -> None:
        client = Client(
            next(self._numbers), connection, self.exchange.connect(), self._ledger, self._mischief
        )
        self._clients[client.number] = client
        hearing = Hearing(client, self._mischief, self._obey)
        self.trouble.connected(client)
        try:
            async for message in connection:
                hearing.hear(message)
        finally:
            del self._clients[client.number]
            self.exchange.disconnect(client.conversation)
            if not self.exchange.has_readers:
                self._reading.clear()

    def _obey(self, client: Client, message: str | bytes) -> None:
        if client.number not in self._clients:
            return  # it left while the command waited
        self.exchange.receive(client.conversation, message, now_us=_now_us())
        client.flush()
        if self.exchange.has_readers:
            self._reading.set()

    # --- time passes ----------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_s)
            for client in list(self._clients.values()):
                client.beat(pong_within_s=self._options.pong_within_s)

    async def _live(self) -> None:
        """Random life, faults, and slow clients' ends."""
        while True:
            await asyncio.sleep(TICK_S)
            self.trouble.go_on()
            await self._listen_or_not()
            now_us = _now_us()
            if self._life and not self.exchange.venue.rules.is_paused:
                self.exchange.publish(self._life.advance(now_us), now_us=now_us)
            if self._combos:
                self.exchange.publish(self._combos.advance(now_us), now_us=now_us)
            for client in self._clients.values():
                client.end_if_overflown(now_ms=now_us // 1000)
            self._flush()

    async def _listen_or_not(self) -> None:
        wanted = not self._mischief.named("refuse_connection")
        if wanted and not self._listener.is_open:
            await self._listener.open()
        elif not wanted and self._listener.is_open:
            self._listener.shut()

    async def _play(self, stop: asyncio.Event) -> None:
        replay = self.exchange.replay
        if replay is None:
            return
        await self._reading.wait()
        started, is_paced = time.monotonic(), self._options.speed > 0
        rules, told = self.exchange.venue.rules, 0
        for told, (due_us, frame) in enumerate(replay.frames(), 1):
            if is_paced:
                await self._sleep_until(started + due_us / 1_000_000)
            while rules.is_paused:
                await asyncio.sleep(TICK_S)
            self.exchange.publish((frame,), now_us=_now_us())
            if told % BATCH == 0:
                await self._hand_over()
        self._flush()
        log.info("the replay is over", frames=told)
        if self._options.once:
            await self._until_sent()
            self._close_code = 1000
            stop.set()

    async def _sleep_until(self, due: float) -> None:
        wait = due - time.monotonic()
        if wait > SHORTEST_SLEEP_S:
            self._flush()
            await asyncio.sleep(wait)

    async def _hand_over(self) -> None:
        """Give everything to the sockets; at speed 0 the slowest reader sets the pace, and none means waiting."""
        self._flush()
        await asyncio.sleep(0)
        if self._options.speed == 0:
            await self._reading.wait()
            for client in list(self._clients.values()):
                await client.socket.has_room()

    async def _until_sent(self) -> None:
        # A transport tells nobody when its buffer is empty.
        while self._is_sending():
            await asyncio.sleep(TICK_S)

    def _is_sending(self) -> bool:
        return any(client.socket.unsent and client.socket.is_open for client in self._clients.values())

    def _flush(self) -> None:
        for client in self._clients.values():
            client.flush()


def _now_us() -> int:
    return time.time_ns() // 1000

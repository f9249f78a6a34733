"""The process: one port for REST and WebSocket, the clock, and the tasks that let time pass."""

import asyncio
import errno
import itertools
import json
import logging
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TextIO

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from registry.refusal import ExitCode, Reason, Refused
from streaming import lifetime
from streaming.kalshi.simulator import recording
from streaming.kalshi.simulator.auth import Door, is_signed
from streaming.kalshi.simulator.client import HEARTBEAT_S, PONG_WITHIN_S, Client, Socket
from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.ledger import Ledger
from streaming.kalshi.simulator.life import RandomLife
from streaming.kalshi.simulator.replay import Replay
from streaming.kalshi.simulator.rest import PRIVATE
from streaming.kalshi.simulator.venue import Venue

log = structlog.get_logger()

WEBSOCKET_PATH = "/trade-api/ws/v2"
DEFAULT_MARKETS = 6
TICK_S = 0.02
# Frames of a replay between two turns of the event loop.
BATCH = 256
# A replay runs this much ahead rather than sleep for less.
SHORTEST_SLEEP_S = 0.001
CLOSE_WITHIN_S = 5.0
# The library reports each client that comes and goes, and each that breaks off.
_QUIET = logging.getLogger("websockets.exchange")
_QUIET.setLevel(logging.ERROR)
MOST_COMMAND_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `ssmd exchange start` was told."""

    host: str
    port: int
    seed: int
    markets: int | None
    rate: float
    replay: tuple[Path, ...]
    speed: float
    once: bool
    original_times: bool
    ledger: Path | None
    door: Door
    heartbeat_s: float = HEARTBEAT_S
    pong_within_s: float = PONG_WITHIN_S


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
        self.exchange = self._build()
        self._ledger = Ledger(options.ledger) if options.ledger else None
        self._numbers = itertools.count(self._ledger.last_connection + 1 if self._ledger else 1)
        self._clients: dict[int, Client] = {}
        self._reading = asyncio.Event()
        self._close_code = 1001
        # Where it listens, once it does.
        self.port = 0

    def _build(self) -> Exchange:
        options, venue, replay = self._options, Venue(), None
        if options.replay:
            contents = recording.survey(recording.find(options.replay))
            replay = Replay(venue, contents, speed=options.speed, original_times=options.original_times)
        markets = options.markets if options.markets is not None else 0 if replay else DEFAULT_MARKETS
        if markets:
            self._life = RandomLife(
                venue, seed=options.seed, markets=markets, rate=options.rate, now_us=_now_us()
            )
        return Exchange(venue, replay)

    async def serve(self, stop: asyncio.Event, *, stderr: TextIO) -> None:
        """Listen, live, and say goodbye."""
        server = await self._listen()
        self.port = server.sockets[0].getsockname()[1]
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
            server.close(code=self._close_code)
            await server.wait_closed()

    def close(self) -> None:
        """Make the ledger durable."""
        if self._ledger:
            self._ledger.close()

    async def _listen(self) -> Server:
        options = self._options
        try:
            return await serve(
                self._serve_client, options.host, options.port, process_request=self._process_request,
                compression=None, ping_interval=None, max_size=MOST_COMMAND_BYTES, create_connection=Socket,
                close_timeout=CLOSE_WITHIN_S, logger=_QUIET,
            )  # fmt: skip
        except OSError as error:
            raise _port_refusal(options, error) from error

    def _greeting(self) -> str:
        address = f"{self._options.host}:{self.port}"
        replay = self.exchange.replay
        lives = "replaying recordings" if replay else "random orders"
        markets = len(self.exchange.venue.markets)
        return (
            f"Simulated exchange listening on http://{address} (REST /trade-api/v2, WebSocket {WEBSOCKET_PATH}), "
            f"{lives}, {markets} markets listed\n"
        )

    # --- clients --------------------------------------------------------------------------

    async def _serve_client(self, connection: ServerConnection) -> None:
        assert isinstance(connection, Socket)
        client = Client(next(self._numbers), connection, self.exchange.connect(), self._ledger)
        self._clients[client.number] = client
        try:
            async for message in connection:
                self.exchange.receive(client.conversation, message, now_us=_now_us())
                client.flush()
                if self.exchange.has_readers:
                    self._reading.set()
        except ConnectionClosed:
            pass  # a client may leave as it likes
        finally:
            del self._clients[client.number]
            self.exchange.disconnect(client.conversation)
            if not self.exchange.has_readers:
                self._reading.clear()

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """REST is answered here; None lets a WebSocket in."""
        path = request.path.partition("?")[0]
        is_websocket = path == WEBSOCKET_PATH
        if is_websocket or is_signed(request.headers) or path.startswith(PRIVATE):
            refusal = self._options.door.refusal(
                request.headers, method=request.method, path=path, now_ms=_now_us() // 1000
            )
            if refusal:
                return _response(401, refusal)
        if is_websocket:
            return None
        if request.method != "GET":
            return _response(405, {"error": {"code": "method_not_allowed", "message": "method not allowed"}})
        return _response(*self.exchange.rest(request.path, now_us=_now_us()))

    # --- time passes ----------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._options.heartbeat_s)
            for client in list(self._clients.values()):
                client.beat(pong_within_s=self._options.pong_within_s)

    async def _live(self) -> None:
        """Random life, and slow clients' ends."""
        while True:
            await asyncio.sleep(TICK_S)
            now_us = _now_us()
            if self._life:
                self.exchange.publish(self._life.advance(now_us), now_us=now_us)
            for client in self._clients.values():
                client.end_if_overflown(now_ms=now_us // 1000)
            self._flush()

    async def _play(self, stop: asyncio.Event) -> None:
        replay = self.exchange.replay
        if replay is None:
            return
        await self._reading.wait()
        started, is_paced = time.monotonic(), self._options.speed > 0
        told = 0
        for told, (due_us, frame) in enumerate(replay.frames(), 1):
            if is_paced:
                await self._sleep_until(started + due_us / 1_000_000)
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


def _response(status: int, body: object) -> Response:
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    headers = Headers(
        {
            "Date": formatdate(usegmt=True),
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(text)),
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, text)


def _port_refusal(options: Options, error: OSError) -> Refused:
    where = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        reason = Reason(
            f"Port {options.port} on {options.host} is busy: another program listens there.",
            "Stop it, or choose a free port: --port NUMBER (0 takes any free one).",
        )
        return Refused([reason], exit_code=ExitCode.CONFLICT)
    reason = Reason(
        f"Cannot listen on {where}: {error}.", "Name an address of this machine and a port you may use."
    )
    return Refused(
        [reason], exit_code=ExitCode.PERMISSION if error.errno == errno.EACCES else ExitCode.INVALID
    )

"""A TCP proxy on loopback that spoils what passes through it: for exchange, NATS, S3 and database.

Everything is switched while it runs. `way` is `to_server` or `to_client`; what is said of both is said twice.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
PIECE_BYTES = 64 * 1024
PIECES_ON_THE_WAY = 64  # then the sender is no longer read, and TCP pushes back
LOOK_SECONDS = 0.005
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of no time: a RST instead of a FIN


class Way:
    """One direction: what may be done to its bytes, now and from now on."""

    def __init__(self) -> None:
        self.delay_seconds = 0.0
        self.jitter_seconds = 0.0  # on top of the delay; the order of bytes stays
        self.bytes_per_second = 0  # 0: as many as come
        self.is_black_hole = False  # nothing passes; what waits goes on when this ends
        self.is_swallowing = False  # what comes is lost, and nobody learns of it
        self.cut_after: int | None = None  # so many bytes from now on pass, then the connection is reset
        self.passed = 0  # bytes

    def due_at(self, now: float, last_due: float, chance: random.Random) -> float:
        """When a piece that came now may leave: never before the one that came before it."""
        return max(last_due, now + self.delay_seconds + chance.random() * self.jitter_seconds)

    def piece_bytes(self) -> int:
        """How much leaves at once: with a limit, a twentieth of a second's."""
        if not self.bytes_per_second:
            return PIECE_BYTES
        return max(1, min(PIECE_BYTES, self.bytes_per_second // 20))

    def share_of(self, piece: bytes) -> bytes:
        """What of it still may pass."""
        if self.is_swallowing:
            return b""
        if self.cut_after is not None:
            piece = piece[: self.cut_after]
            self.cut_after -= len(piece)
        self.passed += len(piece)
        return piece


class _Link:
    """One client's connection and ours to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server

    def reset(self) -> None:
        """Both ends learn at once, and rudely."""
        for end in (self.client, self.server):
            reset(end)

    def end(self) -> None:
        """Both ends see the other side's orderly end."""
        for end in (self.client, self.server):
            end.close()


class TcpProxy:
    """`async with TcpProxy(port_of_the_server) as proxy:` - clients connect to `proxy.port`."""

    def __init__(self, server_port: int, *, seed: int = 0) -> None:
        self.server_port = server_port
        self.port = 0
        self.to_server, self.to_client = Way(), Way()
        self.accepted = 0  # connections, ever
        self._chance = random.Random(seed)
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        await self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def open_links(self) -> int:
        """Connections that stand, as far as their clients know."""
        return len(self._links)

    @property
    def ways(self) -> tuple[Way, Way]:
        """Both directions."""
        return self.to_server, self.to_client

    async def accept(self) -> None:
        """Take connections, on the same port as before."""
        if self._listener is None:
            self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Nobody listens any more; connections that stand are left alone."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def cut(self, *, politely: bool = False) -> None:
        """End all connections now: by RST, or by FIN."""
        for link in list(self._links):
            if politely:
                link.end()
            else:
                link.reset()

    async def black_hole(self, is_on: bool = True) -> None:
        """Connections stay open and nothing passes, either way; or all goes on."""
        for way in self.ways:
            way.is_black_hole = is_on

    async def half_open(self) -> None:
        """The server is gone from connections whose clients are never told: only these, new ones are served."""
        for link in list(self._links):
            self._links.discard(link)
            for task in [one for one in self._tasks if one.get_name() == _name_of(link)]:
                task.cancel()
            reset(link.server)

    async def _connected(self, from_client: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self.server_port)
        except OSError:
            reset(client)
            return
        link = _Link(client, server)
        self._links.add(link)
        both = [
            self._start(link, self._carry(link, self.to_server, from_client, server)),
            self._start(link, self._carry(link, self.to_client, from_server, client)),
        ]
        await asyncio.gather(*both, return_exceptions=True)
        if link in self._links:  # one that is half open stays as it is
            self._links.discard(link)
            link.end()

    def _start(self, link: _Link, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=_name_of(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _carry(
        self, link: _Link, way: Way, source: asyncio.StreamReader, target: asyncio.StreamWriter
    ) -> None:
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(PIECES_ON_THE_WAY)
        taking = self._start(link, self._take(way, source, on_the_way))
        try:
            with suppress(OSError):
                await self._deliver(link, way, target, on_the_way)
        finally:
            taking.cancel()

    async def _take(
        self, way: Way, source: asyncio.StreamReader, on_the_way: "asyncio.Queue[tuple[float, bytes]]"
    ) -> None:
        clock, due = asyncio.get_running_loop().time, 0.0
        while True:
            try:
                piece = await source.read(PIECE_BYTES)
            except OSError:
                piece = b""
            due = way.due_at(clock(), due, self._chance)
            await on_the_way.put((due, piece))
            if not piece:
                return

    async def _deliver(
        self,
        link: _Link,
        way: Way,
        target: asyncio.StreamWriter,
        on_the_way: "asyncio.Queue[tuple[float, bytes]]",
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(max(0.0, due - clock()))
            while way.is_black_hole:
                await asyncio.sleep(LOOK_SECONDS)
            if not piece:
                target.write_eof()
                return
            await self._pass_on(link, way, target, piece)

    async def _pass_on(self, link: _Link, way: Way, target: asyncio.StreamWriter, piece: bytes) -> None:
        step = way.piece_bytes()
        for start in range(0, len(piece), step):
            share = way.share_of(piece[start : start + step])
            target.write(share)
            await target.drain()
            if way.bytes_per_second:
                await asyncio.sleep(len(share) / way.bytes_per_second)
            if way.cut_after == 0:
                way.cut_after = None
                await asyncio.sleep(LOOK_SECONDS)  # the last bytes are on the wire before the reset
                link.reset()


def _name_of(link: _Link) -> str:
    return f"link {id(link)}"


def reset(end: asyncio.StreamWriter) -> None:
    """Close it by RST."""
    found: socket.socket | None = end.get_extra_info("socket")
    with suppress(OSError):
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    end.transport.abort()


class ProxyThread:
    """A proxy with a loop and a thread of its own, for clients that block."""

    def __init__(self, server_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.proxy = TcpProxy(server_port)
        self._loop = loop

    def call(self, action: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do something to the proxy: `thread.call(thread.proxy.cut)`. Its ways may be changed from anywhere."""
        return asyncio.run_coroutine_threadsafe(action(), self._loop).result(10)


@contextmanager
def proxy_in_thread(server_port: int) -> Iterator[ProxyThread]:
    """A running one."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever, name="tcp proxy", daemon=True)
    running.start()
    thread = ProxyThread(server_port, loop)
    try:
        thread.call(thread.proxy.__aenter__)
        yield thread
        thread.call(lambda: thread.proxy.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        running.join(5)
        loop.close()

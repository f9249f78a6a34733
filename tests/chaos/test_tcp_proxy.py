"""The proxy between real ends: an echo server, a nats-server."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import nats
import pytest

from tests.chaos.tcp_proxy import TcpProxy, proxy_in_thread
from tests.running import NatsServer

SOON = 0.3  # seconds in which loopback is expected to have done something


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionResetError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """In front of a server that sends back what it gets."""
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    async with TcpProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, proxy: TcpProxy) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", proxy.port))

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def get(self, count: int = 4, *, seconds: float = 5.0) -> bytes:
        """What comes in time; raises ConnectionResetError, and answers b"" at an orderly end."""
        async with asyncio.timeout(seconds):
            return await self._reader.read(count)

    async def is_silent(self) -> bool:
        try:
            await self.get(seconds=SOON)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._writer.close()


@pytest.fixture
async def client(proxy: TcpProxy) -> AsyncIterator[Client]:
    client = await Client.of(proxy)
    await client.send(b"ping")
    assert await client.get() == b"ping"
    yield client
    client.close()


async def test_what_goes_in_comes_out(proxy: TcpProxy, client: Client) -> None:
    data = bytes(range(256)) * 4_000
    sending = asyncio.create_task(client.send(data))

    got = b""
    while len(got) < len(data):
        got += await client.get(65_536)
    await sending

    assert got == data
    assert proxy.to_server.passed == proxy.to_client.passed == len(data) + 4


async def test_a_delay_keeps_bytes_on_the_way_and_in_their_order(proxy: TcpProxy, client: Client) -> None:
    proxy.to_server.delay_seconds, proxy.to_server.jitter_seconds = 0.1, 0.05
    begun, got = time.monotonic(), b""

    for number in range(20):
        await client.send(b"%04d" % number)
        await asyncio.sleep(0.002)
    while len(got) < 80:
        got += await client.get(80)

    assert got == b"".join(b"%04d" % number for number in range(20))
    assert (
        0.1 <= time.monotonic() - begun < 1.5
    )  # the pieces travel at the same time, not one after the other


async def test_a_narrow_way_takes_its_time(proxy: TcpProxy, client: Client) -> None:
    proxy.to_client.bytes_per_second = 40_000
    begun, got = time.monotonic(), 0

    await client.send(b"x" * 16_000)
    while got < 16_000:
        got += len(await client.get(16_000))

    assert time.monotonic() - begun > 0.25


async def test_in_a_black_hole_nothing_passes_until_it_ends(proxy: TcpProxy, client: Client) -> None:
    await proxy.black_hole()
    await client.send(b"held")
    assert await client.is_silent()

    await proxy.black_hole(False)

    assert await client.get() == b"held"


async def test_a_black_hole_of_one_way_lets_the_other_pass(proxy: TcpProxy, client: Client) -> None:
    proxy.to_client.is_black_hole = True
    before = proxy.to_server.passed

    await client.send(b"held")

    assert await client.is_silent()
    assert proxy.to_server.passed == before + 4


async def test_what_is_swallowed_never_comes(proxy: TcpProxy, client: Client) -> None:
    proxy.to_client.is_swallowing = True
    await client.send(b"lost")
    assert await client.is_silent()

    proxy.to_client.is_swallowing = False
    await client.send(b"then")

    assert await client.get() == b"then"


async def test_a_cut_is_a_reset_or_an_orderly_end(proxy: TcpProxy, client: Client) -> None:
    other = await Client.of(proxy)
    await other.send(b"ping")
    await other.get()
    await proxy.cut()
    with pytest.raises(ConnectionResetError):
        await client.get()

    third = await Client.of(proxy)
    await third.send(b"ping")
    await third.get()
    await proxy.cut(politely=True)

    assert await third.get() == b""


async def test_a_connection_is_cut_after_so_many_bytes(proxy: TcpProxy, client: Client) -> None:
    proxy.to_client.cut_after = 10
    got = b""

    await client.send(b"0123456789abcdef")
    with pytest.raises(ConnectionResetError):
        while True:
            got += await client.get(100)

    assert got == b"0123456789"


async def test_new_connections_are_refused_and_old_ones_left_alone(proxy: TcpProxy, client: Client) -> None:
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await Client.of(proxy)
    await client.send(b"ping")
    assert await client.get() == b"ping"

    await proxy.accept()

    await (await Client.of(proxy)).send(b"ping")


async def test_a_half_open_connection_tells_its_client_nothing_and_new_ones_are_served(
    proxy: TcpProxy, client: Client
) -> None:
    await proxy.half_open()
    await client.send(b"ping")
    assert await client.is_silent()

    other = await Client.of(proxy)
    await other.send(b"ping")

    assert await other.get() == b"ping"


async def test_a_server_that_is_away_resets_its_clients(proxy: TcpProxy) -> None:
    proxy.server_port = 1
    client = await Client.of(proxy)

    with pytest.raises(ConnectionResetError):
        await client.get()


def test_a_client_that_blocks_gets_a_proxy_with_a_thread_of_its_own() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        proxy_in_thread(server.getsockname()[1]) as thread,
        socket.create_connection(("127.0.0.1", thread.proxy.port), timeout=5) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"ping")
            assert accepted.recv(4) == b"ping"
            thread.call(thread.proxy.cut)
            with pytest.raises(ConnectionResetError):
                client.recv(1)


Switch = Callable[[TcpProxy], Awaitable[None]]


async def _black(proxy: TcpProxy) -> None:
    await proxy.black_hole()


async def _half(proxy: TcpProxy) -> None:
    await proxy.half_open()


async def _reset(proxy: TcpProxy) -> None:
    await proxy.cut()


async def _in_the_middle(proxy: TcpProxy) -> None:
    proxy.to_client.cut_after = 3


@pytest.mark.parametrize("switch", [_black, _half, _reset, _in_the_middle])
async def test_a_client_of_nats_loses_the_server_and_finds_it_again(tmp_path: Path, switch: Switch) -> None:
    server = NatsServer(tmp_path)
    await asyncio.to_thread(server.start)
    async with TcpProxy(server.port) as proxy:
        client = await nats.connect(
            f"nats://127.0.0.1:{proxy.port}",
            ping_interval=0.1,
            max_outstanding_pings=2,
            reconnect_time_wait=0.05,
            error_cb=_say_nothing,
        )
        await client.flush()

        await switch(proxy)
        async with asyncio.timeout(5):
            while client.stats["reconnects"] == 0:
                await asyncio.sleep(0.01)
                if not client.is_connected:
                    await proxy.black_hole(False)

        assert client.is_connected
        assert proxy.accepted >= 2
        await client.close()
    await asyncio.to_thread(server.stop)


async def _say_nothing(error: Exception) -> None:
    """The library would log it."""

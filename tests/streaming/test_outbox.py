import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

import nats
import pytest

from streaming import pace, transport
from streaming.outbox import Outbox, _Message
from streaming.pace import MOST
from streaming.transport import StreamSpec
from tests.running import NatsServer
from tests.streaming.bus import stored


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> StreamSpec:
    """A stream of the test's own: all tests share one server."""
    feed = f"feed-{abs(hash(request.node.name)) % 10**9}"
    return StreamSpec(f"ssmd-{feed}", feed, max_bytes=64 * 1024**2)


async def opened(url: str, spec: StreamSpec) -> tuple[nats.NATS, Outbox]:
    client = await transport.connect(url, name="test")
    await transport.ensure_stream(client, spec)
    outbox = Outbox(client)
    await outbox.open()
    return client, outbox


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def test_only_acknowledged_messages_move_the_floor(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)
    subject = f"{spec.feed}.trade.A"

    await outbox.publish(subject, b"1", identity="s.1.0", n=1)
    outbox.passed(1)
    before = outbox.floor
    await until(lambda: not outbox.waiting)
    outbox.passed(5)

    assert (before, outbox.floor) == (0, 5)
    await client.close()


async def test_a_half_offered_record_is_not_counted(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)
    outbox.passed(6)

    await outbox.publish(f"{spec.feed}.trade.A", b"1", identity="s.7.0", n=7)
    await until(lambda: not outbox.waiting)

    assert outbox.floor == 6
    await client.close()


async def test_the_same_identity_is_stored_once(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)
    for _ in range(3):
        await outbox.publish(f"{spec.feed}.trade.A", b"1", identity="s.1.0", n=1)
    await until(lambda: not outbox.waiting)

    assert len(await stored(nats_server, spec.name)) == 1
    await client.close()


async def test_more_than_the_window_is_never_in_flight(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)
    most = 0
    for n in range(1, 2 * MOST):
        await outbox.publish(f"{spec.feed}.trade.A", b"x", identity=f"s.{n}.0", n=n)
        most = max(most, outbox.waiting)
    await until(lambda: not outbox.waiting)

    assert most <= MOST
    assert len(await stored(nats_server, spec.name)) == 2 * MOST - 1
    await client.close()


async def test_a_subject_that_no_stream_takes_is_refused_and_holds_the_rest(
    nats_server: str, spec: StreamSpec
) -> None:
    client, outbox = await opened(nats_server, spec)

    await outbox.publish(f"{spec.feed}.elsewhere.A", b"1", identity="s.1.0", n=1)
    outbox.passed(1)
    await until(lambda: bool(outbox.refused))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.7):
            await outbox.publish(f"{spec.feed}.trade.A", b"2", identity="s.2.0", n=2)

    assert (outbox.floor, outbox.waiting) == (0, 1)
    await client.close()


async def test_a_message_that_the_server_cannot_take_is_left_out(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)

    large = b"x" * client.max_payload
    assert not await outbox.publish(f"{spec.feed}.trade.A", large, identity="s.1.0", n=1)
    assert await outbox.publish(f"{spec.feed}.trade.A", b"x", identity="s.2.0", n=2)
    await until(lambda: not outbox.waiting)

    assert [identity for _, _, identity in await stored(nats_server, spec.name)] == ["s.2.0"]
    await client.close()


async def test_a_stream_that_vanished_loses_nothing_once_it_is_made_again(
    nats_server: str, spec: StreamSpec
) -> None:
    client, outbox = await opened(nats_server, spec)
    await client.jetstream().delete_stream(spec.name)

    await outbox.publish(f"{spec.feed}.trade.A", b"1", identity="s.1.0", n=1)
    await until(lambda: bool(outbox.refused))
    await transport.ensure_stream(client, spec)
    async with asyncio.timeout(4):
        await outbox.publish(f"{spec.feed}.trade.A", b"2", identity="s.2.0", n=2)
    await until(lambda: not outbox.waiting)

    assert [identity for _, _, identity in await stored(nats_server, spec.name)] == ["s.1.0", "s.2.0"]
    await client.close()


async def test_a_stream_that_refuses_is_asked_with_the_oldest_message_and_keeps_its_order(
    nats_server: str, spec: StreamSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "ACK_WITHIN_SECONDS", 0.05)
    refused = list[str]()
    client = await transport.connect(nats_server, name="test")
    await transport.ensure_stream(client, spec)
    outbox = Outbox(client, on_refused=lambda reason, problem: refused.append(reason))
    await outbox.open()
    await client.jetstream().delete_stream(spec.name)
    for n in range(1, 101):
        await outbox.publish(f"{spec.feed}.trade.A", b"x", identity=f"s.{n}.0", n=n)
    await until(lambda: len(refused) == 100)
    await asyncio.sleep(0.06)

    await outbox.repeat_overdue()
    await until(lambda: len(refused) == 101)
    await transport.ensure_stream(client, spec)
    repeating = asyncio.create_task(_keep_repeating(outbox))
    await outbox.publish(f"{spec.feed}.trade.A", b"x", identity="s.101.0", n=101)
    await until(lambda: not outbox.waiting)
    repeating.cancel()

    found = [identity for _, _, identity in await stored(nats_server, spec.name)]
    assert found == [f"s.{n}.0" for n in range(1, 102)]
    assert set(refused) == {"no_stream"}
    await client.close()


async def test_another_client_sends_again_what_was_not_acknowledged(
    nats_server: str, spec: StreamSpec
) -> None:
    client, outbox = await opened(nats_server, spec)
    await outbox.publish(f"{spec.feed}.trade.A", b"1", identity="s.1.0", n=1)
    await client.close()
    other = await transport.connect(nats_server, name="test")

    await outbox.move(other)
    await until(lambda: not outbox.waiting)

    assert len(await stored(nats_server, spec.name)) == 1
    await other.close()


async def test_nothing_new_overtakes_what_moves_to_another_client(nats_server: str, spec: StreamSpec) -> None:
    client, outbox = await opened(nats_server, spec)
    await client.close()
    other = await transport.connect(nats_server, name="test")
    for n in range(1, 1001):  # sent into the void: the client is gone
        outbox._waiting[n] = _Message(f"{spec.feed}.trade.A", b"x", f"s.{n}.0", n, 0.0)
    outbox._last_token = 1000

    async def publish() -> None:
        for n in range(1001, 2001):
            await outbox.publish(f"{spec.feed}.trade.A", b"x", identity=f"s.{n}.0", n=n)
            await asyncio.sleep(0)

    publishing = asyncio.create_task(publish())
    await asyncio.sleep(0.01)
    await outbox.move(_Hesitant(other))
    await publishing
    await until(lambda: not outbox.waiting)

    found = [identity for _, _, identity in await stored(nats_server, spec.name)]
    assert found == [f"s.{n}.0" for n in range(1, 2001)]
    await other.close()


class _Hesitant:
    """A client whose every publishing lets others run first, as a full send buffer does."""

    def __init__(self, client: nats.NATS) -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    async def publish(self, *args: Any, **options: Any) -> None:
        await asyncio.sleep(0)
        await self._client.publish(*args, **options)


async def _keep_repeating(outbox: Outbox) -> None:
    while True:
        await asyncio.sleep(0.1)
        await outbox.repeat_overdue()


def kill(server: NatsServer) -> None:
    process = server._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)


@pytest.mark.slow
async def test_a_killed_server_loses_nothing_doubles_nothing_and_keeps_the_order(
    own_nats_server: NatsServer, spec: StreamSpec
) -> None:
    client, outbox = await opened(own_nats_server.url, spec)
    repeating = asyncio.create_task(_keep_repeating(outbox))
    total = 20_000

    async def publish() -> None:
        for n in range(1, total + 1):
            await outbox.publish(f"{spec.feed}.trade.A", b"x" * 100, identity=f"s.{n}.0", n=n)
            outbox.passed(n)
            if n % 50 == 0:
                await asyncio.sleep(0)

    publishing = asyncio.create_task(publish())
    for share in (0.2, 0.6):
        await until(lambda share=share: outbox.floor > share * total)  # type: ignore[misc]
        await asyncio.to_thread(kill, own_nats_server)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(own_nats_server.start)
    await publishing
    await until(lambda: not outbox.waiting)
    repeating.cancel()

    found = [identity for _, _, identity in await stored(own_nats_server.url, spec.name)]
    assert found == [f"s.{n}.0" for n in range(1, total + 1)]
    assert outbox.floor == total
    await client.close()


@pytest.mark.slow
async def test_a_frozen_server_is_noticed_and_loses_nothing(
    own_nats_server: NatsServer, spec: StreamSpec
) -> None:
    client, outbox = await opened(own_nats_server.url, spec)
    repeating = asyncio.create_task(_keep_repeating(outbox))
    assert own_nats_server._process is not None
    os.kill(own_nats_server._process.pid, signal.SIGSTOP)
    for n in range(1, 101):
        await outbox.publish(f"{spec.feed}.trade.A", b"x", identity=f"s.{n}.0", n=n)
        outbox.passed(n)
    await until(lambda: not client.is_connected)
    os.kill(own_nats_server._process.pid, signal.SIGCONT)
    await until(lambda: not outbox.waiting)
    repeating.cancel()

    found = [identity for _, _, identity in await stored(own_nats_server.url, spec.name)]
    assert found == [f"s.{n}.0" for n in range(1, 101)]
    await client.close()

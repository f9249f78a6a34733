import asyncio
import time

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidStatus
from websockets.frames import Opcode

from streaming.kalshi.socket import MAX_FRAME_BYTES, KalshiSocket
from streaming.records import Kind
from tests.streaming.kalshi.venue import refusal, until, venue

Frames = list[tuple[int, bytes]]


async def heard(url: str, frames: Frames, *, silent_for: float = 6.0) -> KalshiSocket:
    socket = await KalshiSocket.open(url, None, silent_for=silent_for)
    socket.listen(lambda kind, payload, received_ns: frames.append((kind, payload)))
    return socket


async def test_frames_come_byte_for_byte_with_their_kind() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send('{"type":"a"}\n')
        await connection.send(b"\x00\xff")
        await connection.send("")

    frames: Frames = []
    async with venue(script) as url:
        code, _ = await (await heard(url, frames)).ended()

    assert frames == [(Kind.TEXT, b'{"type":"a"}\n'), (Kind.BINARY, b"\x00\xff"), (Kind.TEXT, b"")]
    assert code == 1000


async def test_fragments_are_put_together() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send(["one ", "two ", "three"])
        await connection.send([b"\x01", b"\x02"])

    frames: Frames = []
    async with venue(script) as url:
        await (await heard(url, frames)).ended()

    assert frames == [(Kind.TEXT, b"one two three"), (Kind.BINARY, b"\x01\x02")]


async def test_text_that_is_no_utf8_is_kept_and_the_connection_lives_on() -> None:
    async def script(connection: ServerConnection) -> None:
        connection.protocol.send_text(b"\xff\xfe\x00")
        connection.send_data()
        await connection.send("after")

    frames: Frames = []
    async with venue(script) as url:
        await (await heard(url, frames)).ended()

    assert frames == [(Kind.TEXT, b"\xff\xfe\x00"), (Kind.TEXT, b"after")]


async def test_frames_that_come_before_anybody_listens_wait() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send("early")
        await connection.wait_closed()

    frames: Frames = []
    async with venue(script) as url:
        socket = await KalshiSocket.open(url, None)
        await asyncio.sleep(0.1)
        socket.listen(lambda kind, payload, received_ns: frames.append((kind, payload)))
        assert frames == [(Kind.TEXT, b"early")]
        await socket.close()


async def test_a_large_frame_is_taken() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send("x" * 8_000_000)

    frames: Frames = []
    async with venue(script) as url:
        await (await heard(url, frames)).ended()

    assert [len(payload) for _, payload in frames] == [8_000_000]


async def test_a_frame_that_is_too_large_ends_the_connection_with_its_code() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send(b"x" * (MAX_FRAME_BYTES + 1))
        await connection.wait_closed()

    frames: Frames = []
    async with venue(script) as url:
        socket = await heard(url, frames)
        code, _ = await socket.ended()

        assert socket.refused_a_frame
    assert (code, frames) == (1009, [])


async def test_a_silent_peer_is_noticed() -> None:
    over = asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        connection.transport.pause_reading()  # answers no ping, sends nothing, says no goodbye
        await over.wait()
        connection.transport.abort()

    async with venue(script) as url:
        socket = await heard(url, [], silent_for=0.5)
        began = time.monotonic()
        code, reason = await socket.ended()
        assert time.monotonic() - began < 4
        assert socket.was_silent
        over.set()

    assert code == 1006
    assert "nothing was heard" in reason


async def test_pings_of_the_venue_are_signs_of_life() -> None:
    async def script(connection: ServerConnection) -> None:
        for _ in range(10):
            await connection.ping(b"heartbeat")
            await asyncio.sleep(0.1)

    async with venue(script) as url:
        code, _ = await (await heard(url, [], silent_for=0.5)).ended()

    assert code == 1000


async def test_a_venue_to_which_we_are_too_large_sent_nothing_too_large() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.close(1009, "your command")

    async with venue(script) as url:
        socket = await heard(url, [])

        assert await socket.ended() == (1009, "your command")
        assert not socket.refused_a_frame


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4999])
async def test_the_venues_close_code_is_told(code: int) -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.close(code, "why")

    async with venue(script) as url:
        assert await (await heard(url, [])).ended() == (code, "why")


async def test_a_connection_cut_in_a_frame_keeps_the_whole_ones() -> None:
    async def script(connection: ServerConnection) -> None:
        await connection.send("whole")
        connection.transport.write(bytes([0x80 | Opcode.TEXT, 50]) + b"only a part")
        await asyncio.sleep(0.05)
        connection.transport.abort()

    frames: Frames = []
    async with venue(script) as url:
        code, _ = await (await heard(url, frames)).ended()

    assert (code, frames) == (1006, [(Kind.TEXT, b"whole")])


async def test_what_was_sent_before_our_goodbye_was_heard_is_read() -> None:
    go = asyncio.Event()

    async def script(connection: ServerConnection) -> None:
        await go.wait()
        for number in range(100):
            await connection.send(str(number))
        await connection.wait_closed()

    frames: Frames = []
    async with venue(script) as url:
        socket = await heard(url, frames)
        go.set()
        await until(lambda: bool(frames))
        await socket.close()
        code, _ = await socket.ended()

    assert (code, len(frames)) == (1000, 100)


async def test_a_refused_handshake_carries_the_venues_words() -> None:
    body = b'{"error":{"details":"NOT_FOUND"}}'
    async with venue(answer=refusal(401, body)) as url:
        with pytest.raises(InvalidStatus) as refused:
            await KalshiSocket.open(url, None)

    assert (refused.value.response.status_code, refused.value.response.body) == (401, body)


async def test_a_redirect_is_not_followed() -> None:
    async with venue() as elsewhere, venue(answer=refusal(302, Location=elsewhere)) as url:
        with pytest.raises(InvalidStatus):
            await KalshiSocket.open(url, None)

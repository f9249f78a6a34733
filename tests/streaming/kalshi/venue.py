"""A small real WebSocket server that does to a connection what its script says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

Script = Callable[[ServerConnection], Awaitable[None]]


async def _wait(connection: ServerConnection) -> None:
    await connection.wait_closed()


@asynccontextmanager
async def venue(script: Script = _wait, *, answer: Response | None = None) -> AsyncIterator[str]:
    """Its URL while it runs; `answer` is given to every handshake instead of accepting it."""

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return answer

    options = {"compression": None, "ping_interval": None, "process_request": refuse}
    async with serve(script, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/trade-api/ws/v2"


def refusal(status: int, body: bytes = b"", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    fields = Headers({**named, "Content-Length": str(len(body))})
    return Response(status, HTTPStatus(status).phrase, fields, body)


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)

"""The HTTP side of the port: who may open a WebSocket, REST, and what faults answer instead."""

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from streaming.kalshi.signing import KEY_HEADER
from streaming.kalshi.simulator.auth import Door, is_signed
from streaming.kalshi.simulator.buckets import Buckets
from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.mischief import answers
from streaming.kalshi.simulator.mischief.answers import Reply
from streaming.kalshi.simulator.mischief.fault import Level
from streaming.kalshi.simulator.mischief.running import Mischief
from streaming.kalshi.simulator.rest import PRIVATE, RATE, ROOT, SAVED_S
from streaming.kalshi.simulator.sockets import Socket

WEBSOCKET_PATH = "/trade-api/ws/v2"
CONTROL_PATH = "/sim/control"
_NOT_ALLOWED = {"error": {"code": "method_not_allowed", "message": "method not allowed"}}
_NO_PAGES = {"error": {"code": "forbidden", "message": "no web page may order faults"}}


class Front:
    """Answers requests; None lets a WebSocket in."""

    def __init__(
        self, exchange: Exchange, door: Door, mischief: Mischief, *, rest_tokens: float = RATE
    ) -> None:
        self.door = door
        self._buckets = Buckets(rest_tokens, rest_tokens * SAVED_S)
        self._exchange, self._mischief = exchange, mischief

    def process(
        self, connection: ServerConnection, request: Request
    ) -> Response | Coroutine[Any, Any, Response] | None:
        """What the library calls for each request."""
        assert isinstance(connection, Socket)
        path = request.path.partition("?")[0]
        if path == CONTROL_PATH:
            return self._response(Reply(403, _NO_PAGES)) if "Origin" in request.headers else None
        if path == WEBSOCKET_PATH:
            return self._handshake(connection, request, path)
        late_s = answers.delay_s(self._rest_faults(), path.removeprefix(ROOT))
        if late_s:
            return self._later(connection, request, path, late_s)
        return self._rest(connection, request, path)

    def _handshake(self, connection: Socket, request: Request, path: str) -> Response | None:
        instead = answers.handshake(self._mischief.at(Level.DOOR)) or self._refusal(request, path)
        return self._send(connection, instead) if instead else None

    async def _later(self, connection: Socket, request: Request, path: str, late_s: float) -> Response:
        await asyncio.sleep(late_s)
        return self._rest(connection, request, path)

    def _rest(self, connection: Socket, request: Request, path: str) -> Response:
        below = path.removeprefix(ROOT)
        reply = answers.rest(self._rest_faults(), below)
        if reply is None and (is_signed(request.headers) or path.startswith(PRIVATE)):
            reply = self._refusal(request, path)
        if reply is None and not self._buckets.take(_who(connection, request), time.monotonic()):
            reply = Reply(429, answers.TOO_MANY)
        if reply is None and request.method != "GET":
            reply = Reply(405, _NOT_ALLOWED)
        if reply is None:
            status, body = self._exchange.rest(
                request.path, now_us=time.time_ns() // 1000, rate=self._buckets.rate
            )
            reply = Reply(status, answers.emptied(self._rest_faults(), below, body))
        return self._send(connection, reply)

    def _rest_faults(self) -> list[Any]:
        return self._mischief.at(Level.REST)

    def _refusal(self, request: Request, path: str) -> Reply | None:
        found = self.door.refusal(
            request.headers, method=request.method, path=path, now_ms=round(self._now_s() * 1000),
            is_strict=bool(self._exchange.venue.rules.clock_offset_ms),
        )  # fmt: skip
        return Reply(401, found) if found else None

    def _send(self, connection: Socket, reply: Reply) -> Response:
        if reply.status == answers.RESET:
            connection.reset()
            return self._response(Reply(503))
        return self._response(reply)

    def _response(self, reply: Reply) -> Response:
        is_text = isinstance(reply.body, str)
        text = reply.body if is_text else json.dumps(reply.body, separators=(",", ":"), ensure_ascii=False)
        body = text.encode()
        fields: Mapping[str, str] = {
            "Date": formatdate(self._now_s(), usegmt=True),
            "Connection": "close",
            "Content-Type": "text/html" if is_text else "application/json",
            "Content-Length": str(len(body)),
            **reply.headers,
        }
        return Response(reply.status, _phrase(reply.status), Headers(fields), body)

    def _now_s(self) -> float:
        return time.time() + self._exchange.venue.rules.clock_offset_ms / 1000


def _who(connection: Socket, request: Request) -> str:
    """Whose tokens a request costs: the key's, or without one the address's."""
    return request.headers.get(KEY_HEADER) or str(connection.remote_address[0])


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

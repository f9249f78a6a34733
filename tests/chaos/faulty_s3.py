"""An HTTP proxy before an S3 store that fails as it is told: by operation, at the n-th request, in one way.

What it changes in a request it signs anew, so that the store behind sees a client that never said it.
"""

import contextlib
import http.client
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.s3_requests import operation, signed

_HOP = frozenset({"connection", "transfer-encoding", "keep-alive"})


@dataclass(frozen=True)
class Fault:
    """What shall happen to the requests `first` to `first + times - 1` of one operation (`*`: of any)."""

    operation: str
    kind: str = "status"
    first: int = 1
    times: int = 1
    status: int = 500
    code: str = ""  # the store's own word; without it the answer has no body
    headers: tuple[tuple[str, str], ...] = ()

    def hits(self, operation: str, number: int) -> bool:
        return self.operation in ("*", operation) and self.first <= number < self.first + self.times


@dataclass
class Told:
    """What the proxy does and what it saw."""

    faults: Sequence[Fault] = ()
    strip: tuple[str, ...] = ()  # beginnings of header names that the store shall not see
    bytes_per_second: float = 0
    expired_key: str = ""  # an access key that is not accepted any more
    seen: Counter[str] = field(default_factory=Counter)
    hit: int = 0
    release: threading.Event = field(default_factory=threading.Event)


class FaultyS3:
    """The proxy; `told` may be changed at any time."""

    def __init__(self, upstream: str, *, key: tuple[str, str]) -> None:
        self.upstream, self.key = urlsplit(upstream).netloc, key
        self.told = Told()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "FaultyS3":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.told.release.set()
        self._server.shutdown()
        self._server.server_close()

    def tell(
        self, *faults: Fault, strip: tuple[str, ...] = (), bytes_per_second: float = 0, expired_key: str = ""
    ) -> None:
        """Begin anew with these faults."""
        self.told.release.set()
        self.told = Told(faults, strip, bytes_per_second, expired_key)

    def next_fault(self, operation: str) -> Fault | None:
        """Count the request; the fault that it shall meet."""
        with self._lock:
            self.told.seen[operation] += 1
            self.told.seen["*"] += 1
            for fault in self.told.faults:
                number = self.told.seen["*" if fault.operation == "*" else operation]
                if fault.hits(operation, number):
                    self.told.hit += 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: FaultyS3

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what this is for."""


@dataclass
class _Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    length: int | None = None  # what Content-Length says, where that is a lie


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        proxy = self.server.proxy
        told = proxy.told
        body = self._read(int(self.headers.get("Content-Length") or 0), told)
        fault = proxy.next_fault(operation(self.command, self.path))
        if told.expired_key and f"Credential={told.expired_key}/" in self.headers.get("Authorization", ""):
            fault = Fault("*", status=403, code="ExpiredToken")
        if fault is None:
            self._reply(self._forward(body, told), told)
            return
        reply = getattr(self, f"_{fault.kind}")(fault, body, told)
        if reply is not None:
            self._reply(reply, told)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _read(self, length: int, told: Told) -> bytes:
        body = bytearray()
        while len(body) < length:
            piece = self.rfile.read(min(65536, length - len(body)))
            if not piece:
                raise ConnectionError
            body += piece
            _linger(len(piece), told)
        return bytes(body)

    # --- the ways to fail ---------------------------------------------------------------------------------------
    def _status(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        return _error(fault)

    def _status_after(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        self._forward(body, told)
        return _error(fault)

    def _reset(self, fault: Fault, body: bytes, told: Told) -> None:
        self._hang_up()

    def _reset_after(self, fault: Fault, body: bytes, told: Told) -> None:
        self._forward(body, told)
        self._hang_up()

    def _silent(self, fault: Fault, body: bytes, told: Told) -> None:
        told.release.wait(10)
        self._hang_up()

    def _silent_after(self, fault: Fault, body: bytes, told: Told) -> None:
        self._forward(body, told)
        self._silent(fault, body, told)

    def _html(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        return _Reply(
            200, [("Content-Type", "text/html; charset=utf-8")], b"<html><body>Please log in</body></html>"
        )

    def _empty(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        return _Reply(200, [], b"")

    def _redirect(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        return _Reply(fault.status, [("Location", f"http://elsewhere.invalid{self.path}")], b"")

    def _truncated(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        reply = self._forward(body, told)
        reply.length, reply.body = len(reply.body), reply.body[: len(reply.body) // 2]
        return reply

    def _shortened(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        """Half the content, under a length that agrees with it."""
        reply = self._forward(body, told)
        reply.body = reply.body[: len(reply.body) // 2]
        return reply

    def _spoiled(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        reply = self._forward(body, told)
        reply.body = _flip(reply.body)
        return reply

    def _spoiled_on_the_way(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        """The body differs from what its signature and digest say."""
        return self._forward(_flip(body), told)

    def _stored_spoiled(self, fault: Fault, body: bytes, told: Told) -> _Reply:
        """The store takes another body for good, as one without digests would."""
        return self._forward(_flip(body), told, resign=True)

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    # --- both sides ---------------------------------------------------------------------------------------------
    def _forward(self, body: bytes, told: Told, *, resign: bool = False) -> _Reply:
        proxy = self.server.proxy
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in (*_HOP, "expect")
        }
        kept = {
            name: value
            for name, value in headers.items()
            if not name.lower().startswith(told.strip or ("\0",))
        }
        if resign or kept != headers:
            kept = signed(self.command, proxy.url + self.path, kept, body, key=proxy.key)
        link = http.client.HTTPConnection(proxy.upstream, timeout=30)
        try:
            link.request(self.command, self.path, body=body or None, headers=kept)
            answer = link.getresponse()
            return _Reply(answer.status, answer.getheaders(), answer.read(), _length(self.command, answer))
        finally:
            link.close()

    def _reply(self, reply: _Reply, told: Told) -> None:
        self.send_response_only(reply.status)
        for name, value in reply.headers:
            if name.lower() not in (*_HOP, "content-length"):
                self.send_header(name, value)
        length = len(reply.body) if reply.length is None else reply.length
        if reply.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        for start in range(0, len(reply.body), 65536):
            piece = reply.body[start : start + 65536]
            self.wfile.write(piece)
            _linger(len(piece), told)
        if length != len(reply.body):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""


def _error(fault: Fault) -> _Reply:
    body = b""
    if fault.code:
        body = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code><Message>as told</Message></Error>".encode()
    return _Reply(fault.status, [("Content-Type", "application/xml"), *fault.headers], body)


def _length(method: str, answer: http.client.HTTPResponse) -> int | None:
    return int(answer.getheader("Content-Length") or 0) if method == "HEAD" else None


def _flip(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body


def _linger(count: int, told: Told) -> None:
    if told.bytes_per_second:
        time.sleep(count / told.bytes_per_second)

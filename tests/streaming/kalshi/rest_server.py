"""A small real REST server that answers what its test says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, Any]


class Server:
    """Answers by path from a list; the last answer is repeated."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                outer.asked.append((url.path, parse_qs(url.query)))
                waiting = outer.answers[url.path.removeprefix("/trade-api/v2")]
                status, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                data = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Tests are quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/trade-api/v2"


@contextmanager
def rest_server() -> Iterator[Server]:
    """It answers while the block runs."""
    one = Server()
    threading.Thread(target=one.http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield one
    finally:
        one.http.shutdown()
        one.http.server_close()

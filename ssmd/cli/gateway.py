"""Admin, REST and WebSocket server."""

import logging
import os
import socket
import warnings
from argparse import _SubParsersAction
from typing import Any

from registry.refusal import ExitCode, Reason, Refused
from ssmd import gateway

# A client whose window stays closed holds a socket and what was written to it: the kernel ends it.
STALLED_CLIENT_MS = 30_000


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd gateway start`."""
    actions = groups.add_parser("gateway", help=__doc__).add_subparsers(metavar="VERB", required=True)
    start = actions.add_parser("start", help="Serve admin, REST and the live stream of one environment")
    start.add_argument("--env", metavar="NAME", help="default: the one applied environment")
    start.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    start.add_argument("--port", type=int, default=8000, help="default: 8000")
    start.set_defaults(run=start_gateway)


def start_gateway(*, env: str | None, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    name = gateway.environment_or_default(env)
    gateway.serving(name)  # refuses here what would fail later
    listener = listen(host, port)

    os.environ[gateway.ENVIRONMENT_VARIABLE] = name
    from streaming.lifetime import configure_logging

    configure_logging("gateway")
    _be_quiet()
    _serve(listener)


def _be_quiet() -> None:
    # A client's mistake is told to the client; and whitenoise's files are small enough to be read in one go.
    logging.getLogger("django.request").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises Refused naming a port that is in use or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_CLIENT_MS)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "Stop what listens there, or choose another port with --port."
        raise Refused(
            [Reason(f"Cannot listen on {host} port {port}: {reason}", remedy)], exit_code=ExitCode.CONFLICT
        ) from error
    return listener


def _serve(listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        "ssmd.asgi:application",
        ws="websockets-sansio",  # four times the rate of the default
        ws_max_size=65_536,
        ws_ping_interval=20,
        ws_ping_timeout=10,
        ws_per_message_deflate=False,  # costs more than it saves
        timeout_graceful_shutdown=3,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the client's address is the socket's, whatever a header says
        lifespan="on",
        log_config=None,
        log_level="warning",
    )
    server = uvicorn.Server(config)
    server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(1)

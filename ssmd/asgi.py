"""HTTP to Django, WebSocket to the gateway, and the hub's life bound to the server's."""

import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ssmd.settings")
_http = get_asgi_application()  # before any import that needs the apps

from asgiref.sync import sync_to_async  # noqa: E402
from channels.auth import AuthMiddlewareStack  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import path  # noqa: E402

from registry.refusal import Refused  # noqa: E402
from secmaster.lookup import find_markets_async  # noqa: E402
from ssmd import gateway  # noqa: E402
from streaming import metrics  # noqa: E402
from streaming.gateway.consumer import GatewayConsumer  # noqa: E402

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _lower_what_is_no_fault(record: logging.LogRecord) -> bool:
    """Django warns of every 4xx, and health's 503 comes each second: they drown what is wrong here."""
    status = getattr(record, "status_code", 500)
    if status < 500 or status == 503:  # whatever is away is logged where that is noticed
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


logging.getLogger("django.request").addFilter(_lower_what_is_no_fault)


async def _lifespan(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Starts the hub with the server, and ends it with it."""
    await receive()
    metrics.init_gateway()
    try:
        name = gateway.asked_for()
        if name:
            gateway.start(await sync_to_async(gateway.serving)(name))
    except Refused as refused:
        await send({"type": "lifespan.startup.failed", "message": str(refused)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await gateway.stop()
    await send({"type": "lifespan.shutdown.complete"})


_stream = GatewayConsumer.as_asgi(hub_of=gateway.current_hub, find_markets=find_markets_async)


async def _no_such_socket(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """A WebSocket path that does not exist: 404 before it is accepted, where the server can say so."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4404})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "websocket.http.response.start", "status": 404, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"The stream is at /v1/stream\n"})


_sockets = [
    path("v1/stream", _stream),
    path("<path:rest>", _no_such_socket),  # type: ignore[arg-type]  # an ASGI application, as channels wants it
]

application = ProtocolTypeRouter(
    {
        "http": _http,
        "websocket": AuthMiddlewareStack(URLRouter(_sockets)),
        "lifespan": _lifespan,
    }
)

"""The listening socket, which can be away for a while; connections outlive it."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from streaming.kalshi.simulator.options import Options, port_refusal
from streaming.kalshi.simulator.sockets import Socket

CLOSE_WITHIN_S = 5.0
MOST_COMMAND_BYTES = 16 * 1024 * 1024
# The library reports each client that comes and goes, and each that breaks off.
_QUIET = logging.getLogger("websockets.exchange")
_QUIET.setLevel(logging.ERROR)


class Listener:
    """Listens on one port; may stop and begin again."""

    def __init__(
        self,
        options: Options,
        handler: Callable[[ServerConnection], Awaitable[None]],
        process_request: Callable[[ServerConnection, Any], Any],
    ) -> None:
        self._options, self._handler, self._process_request = options, handler, process_request
        self._servers: list[Server] = []
        self.port = options.port
        self.is_open = False

    async def open(self) -> None:
        """Listen; raises Refused."""
        options = self._options
        try:
            server = await serve(
                self._handler, options.host, self.port, process_request=self._process_request,
                compression="deflate", ping_interval=None, max_size=MOST_COMMAND_BYTES, create_connection=Socket,
                close_timeout=CLOSE_WITHIN_S, logger=_QUIET, ssl=options.tls,
            )  # fmt: skip
        except OSError as error:
            raise port_refusal(options, error) from error
        self.port = server.sockets[0].getsockname()[1]
        self._servers.append(server)
        self.is_open = True

    def shut(self) -> None:
        """Let nobody in any more; whoever is in stays."""
        self._servers[-1].server.close()
        self.is_open = False

    async def close(self, code: int) -> None:
        """Say goodbye to everybody."""
        for server in self._servers:
            server.close(code=code)
        for server in self._servers:
            await server.wait_closed()

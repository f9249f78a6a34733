"""The library's server connection, with what an exchange that misbehaves needs of it."""

import contextlib
import socket
import struct
import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

_LINGER_NOT = struct.pack("ii", 1, 0)


class Socket(ServerConnection):
    """The library's connection, which also remembers when the last pong came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.alive_at = time.monotonic()

    def process_event(self, event: Any) -> None:
        """Any pong proves that the client lives."""
        if isinstance(event, Frame) and event.opcode is Opcode.PONG:
            self.alive_at = time.monotonic()
        super().process_event(event)

    @property
    def is_open(self) -> bool:
        """Whether frames may still be handed over."""
        return self.protocol.state is State.OPEN and not self.transport.is_closing()

    def hand(self, data: bytes) -> None:
        """Give bytes to the socket without waiting."""
        self.transport.write(data)

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client to read."""
        return self.transport.get_write_buffer_size()

    async def has_room(self) -> None:
        """Wait until a slow client has read on."""
        if self.paused:
            with contextlib.suppress(ConnectionError):
                await self.drain()

    def stop_reading(self) -> None:
        """Read nothing more: neither commands nor pongs, nor the client's end."""
        self.transport.pause_reading()

    def read_on(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def leave(self) -> None:
        """End the TCP connection once everything is sent, without a close frame."""
        self.transport.close()

    def reset(self) -> None:
        """End the TCP connection by a reset; what is not sent is lost."""
        if not self.transport.is_closing():
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self.transport.abort()

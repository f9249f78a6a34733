"""One connected client: its conversation's outbox goes to the ledger first, then to its socket."""

import contextlib
import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from streaming.kalshi.simulator.ledger import Ledger
from streaming.kalshi.simulator.protocol import Conversation
from streaming.kalshi.simulator.wire import ping_frame, text_frame

HEARTBEAT = b"heartbeat"
HEARTBEAT_S = 10.0
PONG_WITHIN_S = 30.0
# What a client may lie behind before its subscriptions end with code 25.
MOST_BUFFERED = 64 * 1024 * 1024


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


class Client:
    """A numbered connection."""

    def __init__(
        self, number: int, socket: Socket, conversation: Conversation, ledger: Ledger | None
    ) -> None:
        self.number, self.socket, self.conversation = number, socket, conversation
        self._ledger = ledger

    def flush(self) -> None:
        """Hand over what the conversation owes; the ledger is written before the socket."""
        outbox = self.conversation.outbox
        if not outbox:
            return
        if self.socket.is_open:
            if self._ledger:
                self._ledger.record(self.number, outbox, at_ns=time.time_ns())
            self.socket.hand(b"".join([text_frame(frame) for frame in outbox]))
        outbox.clear()

    def beat(self, *, pong_within_s: float) -> None:
        """Ping, or give up a client that has not answered for too long."""
        if time.monotonic() - self.socket.alive_at > pong_within_s:
            self.socket.transport.abort()
        elif self.socket.is_open:
            self.socket.hand(ping_frame(HEARTBEAT))

    def end_if_overflown(self, *, now_ms: int) -> None:
        """Code 25 for a client that lies too far behind."""
        if self.socket.unsent > MOST_BUFFERED:
            self.conversation.overflow(now_ms=now_ms)

"""One connected client: its conversation's outbox goes to the ledger first, then to its socket."""

import asyncio
import time

from streaming.kalshi.simulator.ledger import Ledger
from streaming.kalshi.simulator.mischief.line import Line
from streaming.kalshi.simulator.mischief.outgoing import Out
from streaming.kalshi.simulator.mischief.running import Mischief
from streaming.kalshi.simulator.protocol import Conversation
from streaming.kalshi.simulator.sockets import Socket
from streaming.kalshi.simulator.wire import close_frame, continuation, data_frame, ping_frame, text_frame

HEARTBEAT = b"heartbeat"
HEARTBEAT_S = 10.0
PONG_WITHIN_S = 30.0
# What a client may lie behind before its subscriptions end with code 25.
MOST_BUFFERED = 64 * 1024 * 1024
# What was sent before a reset gets this long to arrive.
RESET_AFTER_S = 0.02
CLOSED_WITHIN_S = 1.0
NO_CLOSE_FRAME = 1006


class Client:
    """A numbered connection."""

    def __init__(
        self,
        number: int,
        socket: Socket,
        conversation: Conversation,
        ledger: Ledger | None,
        mischief: Mischief,
    ) -> None:
        self.number, self.socket, self.conversation = number, socket, conversation
        self.since_s = time.monotonic()
        self._ledger = ledger
        self._mischief = mischief
        self._line = Line(number, mischief, conversation.channel_of)
        # Frames count as sent, and are not.
        self.is_dead = False
        # Nothing of it is read any more, not even its goodbye.
        self.is_unheard = False
        # Nothing more is sent, as both sides know.
        self._has_ended = False
        self._drip: _Drip | None = None
        self._chunk = b""

    def flush(self) -> None:
        """Hand over what the conversation owes; the ledger is written before the socket."""
        outbox = self.conversation.outbox
        if not (self._line.is_straight and self._mischief.is_idle and self.is_sound):
            self._flush_bent(outbox)
            return
        if not outbox:
            return
        if self.socket.is_open:
            if self._ledger:
                self._ledger.record(self.number, outbox, at_ns=time.time_ns())
            self.socket.hand(b"".join([text_frame(frame) for frame in outbox]))
        self._mischief.handed += len(outbox)
        outbox.clear()

    @property
    def is_sound(self) -> bool:
        """Whether the connection itself is as it should be."""
        return not (self.is_dead or self._has_ended or self._drip)

    def give_up(self) -> None:
        """At the end: one that would not answer a goodbye gets none."""
        if self.is_unheard or not self.is_sound:
            self.socket.transport.abort()

    def beat(self, *, pong_within_s: float) -> None:
        """Ping, or give up a client that has not answered for too long."""
        if time.monotonic() - self.socket.alive_at > pong_within_s:
            self.socket.transport.abort()
        elif self.socket.is_open and not (self.is_dead or self._has_ended):
            self._send(ping_frame(HEARTBEAT))

    def end_if_overflown(self, *, now_ms: int) -> None:
        """Code 25 for a client that lies too far behind."""
        if self.socket.unsent > MOST_BUFFERED and self.is_sound:
            self.conversation.end_subscriptions(25, now_ms=now_ms)

    # --- trouble --------------------------------------------------------------------------

    def _flush_bent(self, outbox: list[bytes]) -> None:
        told = self._line.feed(outbox, time.monotonic())
        outbox.clear()
        for out in told:
            self._tell(out)

    def _tell(self, out: Out) -> None:
        if self._has_ended or not self.socket.is_open:
            return
        if out.recorded:
            self._record(out.opcode, out.payload)
        if not out.handed or self.is_dead:
            return
        self._send(data_frame(out.opcode, out.payload) if out.wire is None else out.wire)
        if out.then == "reset":
            self.is_dead = True
            asyncio.get_running_loop().call_later(RESET_AFTER_S, self.socket.reset)
        elif out.then == "endless":
            self.is_dead, self._chunk = True, out.wire or b""

    def _record(self, opcode: int, payload: bytes) -> None:
        if self._ledger:
            self._ledger.record_any(self.number, opcode, payload, at_ns=time.time_ns())

    def _send(self, data: bytes) -> None:
        if self._drip:
            self._drip.pour(data)
        else:
            self.socket.hand(data)

    def go_on(self, now_s: float) -> None:
        """What trickles, or never ends, goes on."""
        if not self.socket.is_open:
            return
        if self._drip:
            self.socket.hand(self._drip.drops(now_s))
        if self._chunk and self.socket.unsent < len(self._chunk):
            self.socket.hand(continuation(self._chunk))

    def die(self) -> None:
        """Half-open: nothing is sent or read any more, and the client is not told."""
        self.flush()
        self.is_dead = True
        self.stop_reading()

    def stop_reading(self) -> None:
        """Read nothing more of the client's."""
        self.is_unheard = True
        self.socket.stop_reading()

    def recover(self) -> None:
        """Read again, and let everything through that trickled; a half-open connection stays dead."""
        if self.is_dead:
            return
        if self.is_unheard:
            self.is_unheard = False
            self.socket.read_on()
        if self._drip and self.socket.is_open:
            self.socket.hand(self._drip.rest())
        self._drip = None

    def drip(self, bytes_per_second: float) -> None:
        """From now on bytes come one by one."""
        self.flush()
        self._drip = _Drip(bytes_per_second, time.monotonic())

    def close(self, code: int, reason: str) -> None:
        """Say goodbye with this code; 1006 is to leave without a word."""
        self.flush()
        if self._has_ended or not self.socket.is_open:
            return
        self._has_ended = True
        if code == NO_CLOSE_FRAME:
            self.socket.leave()
            return
        self._send(close_frame(code, reason))
        asyncio.get_running_loop().call_later(CLOSED_WITHIN_S, self.socket.leave)

    def reset(self) -> None:
        """End the connection by a reset."""
        self.flush()
        self._has_ended = True
        self.socket.reset()

    def inject(self, payload: bytes, opcode: int) -> None:
        """A frame that no conversation would have."""
        self.flush()
        if not self._has_ended and self.socket.is_open:
            self._record(opcode, payload)
            if not self.is_dead:
                self._send(data_frame(opcode, payload))


class _Drip:
    """Bytes that wait to be let through, so many a second."""

    def __init__(self, bytes_per_second: float, now_s: float) -> None:
        self._rate, self._at_s = bytes_per_second, now_s
        self._waiting = bytearray()

    def pour(self, data: bytes) -> None:
        """More to come."""
        self._waiting += data

    def drops(self, now_s: float) -> bytes:
        """What may go by now."""
        count = int((now_s - self._at_s) * self._rate)
        if not count:
            return b""
        self._at_s += count / self._rate
        drops = bytes(self._waiting[:count])
        del self._waiting[:count]
        return drops

    def rest(self) -> bytes:
        """All that still waits."""
        return bytes(self._waiting)

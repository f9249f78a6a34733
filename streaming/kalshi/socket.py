"""One WebSocket connection to Kalshi: signed, watched, every frame handed over as it comes off the wire."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from streaming.kalshi.handshake import skew_of
from streaming.kalshi.rest import Credentials
from streaming.records import Kind

MAX_FRAME_BYTES = 16 * 1024 * 1024  # the library's 1 MiB would end the connection at a large frame
PING_EVERY_SECONDS = 2.0
SILENT_FOR_SECONDS = 6.0
GOODBYE_SECONDS = 10.0  # time to read what was sent before the venue heard our goodbye
NO_CLOSE, TOO_LARGE = 1006, 1009  # RFC 6455, 7.4.1
OnFrame = Callable[[int, bytes, int], object]  # kind, payload, received_ns


class _Tapped(ClientConnection):
    """Gives each message away in the turn of the loop in which its bytes arrived: no queue, no task in between."""

    def __init__(self, *args: Any, clock: Callable[[], int] = time.time_ns, **options: Any) -> None:
        super().__init__(*args, **options)
        self._clock = clock
        self._early: list[tuple[int, bytes, int]] = []
        self._on_frame: OnFrame = lambda *frame: self._early.append(frame)
        self._parts: list[bytes] = []
        self._kind = Kind.TEXT
        self.active_at = time.monotonic()
        self.heard_ns = self._clock()

    def listen(self, on_frame: OnFrame) -> None:
        """From now on frames go there; first those that came with the handshake's answer."""
        self._on_frame = on_frame
        early, self._early = self._early, []
        for frame in early:
            on_frame(*frame)

    def process_event(self, event: Any) -> None:
        """Keep data frames from the library's queue; its handshake, pings and closing stay its own."""
        if isinstance(event, Frame):
            # Data, ping or pong: something that arrived, never something sent.
            self.active_at = time.monotonic()
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._take(event)
                return
            self.heard_ns = self._clock()
        super().process_event(event)

    def _take(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._kind = Kind.TEXT if frame.opcode is Opcode.TEXT else Kind.BINARY
        data = bytes(frame.data)
        if frame.fin and not self._parts:
            self._on_frame(self._kind, data, self._clock())
            return
        self._parts.append(data)
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._on_frame(self._kind, whole, self._clock())


class _Connect(connect):
    """A redirect is refused: our signature is for the host that the operator named."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class KalshiSocket:
    """An open connection; `listen` at once; `ended` returns (code, reason) when it is over."""

    def __init__(self, connection: _Tapped, *, silent_for: float = SILENT_FOR_SECONDS) -> None:
        self._connection = connection
        self._silent_for = silent_for
        self._silent = False
        answer = connection.response
        self._skew = skew_of(answer.headers, now_s=time.time()) if answer is not None else None
        self._helpers = (
            asyncio.create_task(self._watch(), name="watchdog"),
            asyncio.create_task(self._ping(), name="pings"),
        )
        for helper in self._helpers:
            helper.add_done_callback(self._helper_ended)

    @classmethod
    async def open(
        cls,
        url: str,
        credentials: Credentials | None,
        *,
        silent_for: float = SILENT_FOR_SECONDS,
        clock: Callable[[], int] = time.time_ns,
    ) -> "KalshiSocket":
        """Connect and shake hands; raises OSError, TimeoutError or websockets' WebSocketException.

        `clock` says when a frame came (Unix ns).
        """
        headers = credentials.headers("GET", urlsplit(url).path) if credentials else None
        connection = await _Connect(
            url,
            create_connection=partial(_Tapped, clock=clock),  # type: ignore[arg-type]  # what it calls will do
            additional_headers=headers,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            ping_interval=None,  # ours does not wait behind a full send buffer
            open_timeout=10,
            close_timeout=GOODBYE_SECONDS,
            proxy=None,
        )
        assert isinstance(connection, _Tapped)
        return cls(connection, silent_for=silent_for)

    def listen(self, on_frame: OnFrame) -> None:
        """Hand every frame over, the ones that are here already at once."""
        self._connection.listen(on_frame)

    async def send(self, command: bytes) -> None:
        """Send one command as a text frame; raises ConnectionClosed."""
        await self._connection.send(command.decode())

    async def ended(self) -> tuple[int, str]:
        """Wait for the end: the close code (1006 where there was none) and reason.

        Raises what ended the watchdog or the pings: nobody would notice a dead connection any more.
        """
        await self._connection.wait_closed()
        self._require_helpers()
        if self._silent:
            return NO_CLOSE, f"nothing was heard for {self._silent_for:.0f} s"
        ours = self._connection.protocol.close_sent
        if ours is not None and self.refused_a_frame:
            return TOO_LARGE, ours.reason
        return self._connection.close_code or NO_CLOSE, self._connection.close_reason or ""

    async def close(self) -> None:
        """Say goodbye and read what the venue sent before it heard."""
        await self._connection.close(1000)

    @property
    def was_silent(self) -> bool:
        """Whether we ended it because nothing was heard any more."""
        return self._silent

    @property
    def refused_a_frame(self) -> bool:
        """Whether we ended it since a frame was too large; a venue may say the same of what we sent."""
        protocol = self._connection.protocol
        is_said = protocol.close_sent is not None and protocol.close_sent.code == TOO_LARGE
        return is_said and not protocol.close_rcvd_then_sent

    @property
    def heard_ns(self) -> int:
        """When the last ping, pong or goodbye came (Unix ns): whatever was sent before it has arrived."""
        return self._connection.heard_ns

    @property
    def skew_seconds(self) -> float | None:
        """Our clock minus the venue's when it accepted us; None where it did not say."""
        return self._skew

    def abort(self) -> None:
        """End the connection at once."""
        self._connection.transport.abort()

    async def _watch(self) -> None:
        """A task of its own: a ping that blocks must not keep the silence from being seen."""
        while not (self._quiet() >= self._silent_for and await self._is_still_quiet()):
            await asyncio.sleep(max(self._silent_for - self._quiet(), 0) + 0.01)
        self._silent = True
        self.abort()

    def _helper_ended(self, helper: "asyncio.Task[None]") -> None:
        if helper.cancelled() or helper.exception() is not None:
            self.abort()

    def _require_helpers(self) -> None:
        dead = [helper for helper in self._helpers if helper.done()]
        for helper in set(self._helpers) - set(dead):
            helper.cancel()
        for helper in dead:
            if helper.cancelled():
                raise RuntimeError(f"the task {helper.get_name()} was cancelled")
            helper.result()

    def _quiet(self) -> float:
        return time.monotonic() - self._connection.active_at

    async def _is_still_quiet(self) -> bool:
        """A loop that was held up has not read yet what came meanwhile: let it, then look again."""
        await asyncio.sleep(0.05)
        return self._quiet() >= self._silent_for

    async def _ping(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(PING_EVERY_SECONDS)
                await self._connection.ping()

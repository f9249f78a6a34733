"""One line to Kalshi: connection after connection that carry the same channels; each loss between them is a gap."""

import asyncio
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass

import structlog
from websockets.exceptions import ConnectionClosed, WebSocketException

from streaming import marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi import handshake
from streaming.kalshi.back_off import BackOff
from streaming.kalshi.capture_config import CaptureConfig
from streaming.kalshi.consequences import Consequences
from streaming.kalshi.findings import Finding, Ready
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.overflow import CAUSE, Overflow
from streaming.kalshi.protocol_error import ProtocolError
from streaming.kalshi.session import KalshiSession
from streaming.kalshi.socket import NO_CLOSE, TOO_LARGE, KalshiSocket
from streaming.lifetime import result_of
from streaming.recording import OpenGaps, stall_mark
from streaming.records import Record
from streaming.session_clock import SessionClock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """What the lines of one session share; `next_connection` numbers the connections of all of them."""

    config: CaptureConfig
    log: CaptureLog
    clock: SessionClock
    keyring: Keyring
    gaps: OpenGaps
    overflow: Overflow
    consequences: Consequences
    fresh: asyncio.Event
    next_connection: "Callable[[Line], int]"
    read_on: Callable[[], None]  # what the log holds is told to the conversations
    is_end_expected: Callable[[], bool]
    others_with_books: "Callable[[Line], bool]"  # whether another line carries books, and is ready


class Line:
    """`index` is its place in the plan, `channels` what it carries in raw types (none: everything)."""

    def __init__(
        self, index: int, desk: Desk, *, firehoses: tuple[str, ...], channels: list[str], has_books: bool
    ) -> None:
        self.index, self.channels = index, channels
        self.is_ready = False
        self.frames = 0
        self.has_books = has_books
        self._desk, self._firehoses = desk, firehoses
        self._books: set[str] = set()
        self._connection = 0  # the last one's number
        self._last_frame = (0, 0)  # (n, recv_ns) of this connection's last frame
        self._socket: KalshiSocket | None = None
        self._session: KalshiSession | None = None
        self._given_up: ProtocolError | None = None
        self._back_off = BackOff()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; raises Refused when the venue refuses our key at the first attempt."""
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            while not stop.is_set():
                await self._one_connection(stopping)
                if self._desk.is_end_expected():
                    await stopping
                await asyncio.wait({stopping}, timeout=self._back_off.next_wait())
                _require_alive(stopping)
        finally:
            stopping.cancel()

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands."""
        return self._socket is not None

    def want(self, books: Collection[str], *, is_complete: bool) -> None:
        """From now on these books; not complete while the venue has not listed its markets."""
        self._books = set(books)
        if self._session is not None:
            now_ns = self._desk.clock.steady_ns()
            self._session.want(self._books, now_ns=now_ns, is_complete=is_complete)

    def on_time(self) -> None:
        """Once a second."""
        if self._session is None:
            return
        try:
            self._draw(self._session.on_time(self._desk.clock.steady_ns()), self._desk.clock.now_ns())
        except ProtocolError as error:
            self.give_up(error)

    def look_for_room(self) -> None:
        """There is room again where frames were dropped: only new snapshots make the books whole."""
        if self._socket is not None and self._desk.overflow.wants_new_connection(
            self.index, self._connection
        ):
            self._drop_connection(ProtocolError("frames were dropped: books are asked anew", cause=CAUSE))

    # -- connections ------------------------------------------------------------------------------

    async def _one_connection(self, stopping: "asyncio.Task[bool]") -> None:
        try:
            socket = await self._open(stopping)
        except (OSError, TimeoutError, WebSocketException, EOFError) as error:
            self._not_connected(error)
            return
        if socket is None:
            return
        opened_at = time.monotonic()
        self._begin(socket)
        ended = asyncio.create_task(socket.ended(), name="connection")
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        _require_alive(stopping)
        if not ended.done():
            await socket.close()
        await asyncio.wait({ended})
        code, reason = result_of(ended)
        self._back_off.connected_for(time.monotonic() - opened_at)
        self._finish(code, reason, is_planned=stopping.done() or self._desk.is_end_expected())

    async def _open(self, stopping: "asyncio.Task[bool]") -> KalshiSocket | None:
        """None when we are asked to stop meanwhile."""
        key, clock = self._desk.keyring.current(), self._desk.clock.now_ns
        opening = asyncio.create_task(
            KalshiSocket.open(self._desk.config.endpoint, key, clock=clock), name="open"
        )
        try:
            await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return result_of(opening) if opening.done() else None
        finally:
            opening.cancel()

    def _begin(self, socket: KalshiSocket) -> None:
        desk, is_again = self._desk, self._connection > 0
        self._connection = desk.next_connection(self)
        self._last_frame = (desk.log.last_n, desk.clock.now_ns())
        opened = marks.ConnectionOpen(self._connection, self.index, self.channels)
        desk.log.mark(opened, connection=self._connection)
        use_yes_price = bool(desk.config.subscribe.get("use_yes_price", False))
        self._session = KalshiSession(use_yes_price=use_yes_price, firehoses=self._firehoses)
        self._session.start(now_ns=desk.clock.steady_ns())
        self._session.want(self._books, now_ns=desk.clock.steady_ns(), is_complete=False)
        self._socket, self._given_up = socket, None
        socket.listen(self._on_frame)
        desk.consequences.listing_due.set()
        desk.fresh.set()
        metrics.CONNECTOR_CONNECTED.labels(desk.config.feed).inc()
        if is_again:
            metrics.CONNECTOR_RECONNECTS.labels(desk.config.feed).inc()
        handshake.note_skew(desk.config.feed, socket.skew_seconds)
        log.info("connected", endpoint=desk.config.endpoint, line=self.index, connection=self._connection)

    def _finish(self, code: int, reason: str, *, is_planned: bool) -> None:
        desk, connection = self._desk, self._connection
        desk.log.try_again()
        desk.read_on()  # what the last frames tell belongs to this connection
        if self._socket is not None:
            n, received_ns = self._last_frame
            self._last_frame = (n, max(received_ns, self._socket.heard_ns))
            if self._socket.was_silent:
                metrics.CONNECTOR_ERRORS_TOTAL.labels(desk.config.feed, "watchdog").inc()
        metrics.CONNECTOR_CONNECTED.labels(desk.config.feed).dec()
        desk.log.mark(marks.ConnectionClose(connection, code, reason), connection=connection)
        log.info("connection over", line=self.index, connection=connection, code=code, reason=reason, frames=self.frames)  # fmt: skip
        cause, detail = "connection_lost", {"code": code, "reason": reason}
        if self._given_up is not None:
            cause, detail = self._given_up.cause, {"reason": str(self._given_up)}
        elif self._socket is not None and self._socket.refused_a_frame:
            cause = "oversize_frame"
        self._socket, self._session, self.is_ready = None, None, False
        # What it sent before it heard our goodbye was not all read, unless it answered it.
        if not is_planned or code in (NO_CLOSE, TOO_LARGE) or self._given_up is not None:
            self._lost(cause, detail, fault="unknown")

    def _lost(self, cause: str, detail: dict[str, object], *, fault: str) -> None:
        """All that the line carried; of several lines with books the others go on: then these are single markets'."""
        if cause == CAUSE:
            return  # its gap is open already, until the next connection is ready
        is_of_markets = self.has_books and self._desk.others_with_books(self)
        gap = marks.GapOpen(
            cause=cause,
            connection=self._connection,
            from_ns=self._last_frame[1],
            after_n=self._last_frame[0],
            tickers=sorted(self._books) if is_of_markets else [],
            fault=fault,
            detail=detail,
            channels=self.channels,
        )
        self._desk.gaps.open(gap, line=self.index)

    def _not_connected(self, error: Exception) -> None:
        if self._desk.is_end_expected():
            return
        config = self._desk.config
        cause, status = handshake.cause_of(error), handshake.status_of(error)
        kind = "auth" if cause == "auth_failed" else "connect"
        metrics.CONNECTOR_ERRORS_TOTAL.labels(config.feed, kind).inc()
        skew = handshake.skew_seconds(error)
        handshake.note_skew(config.feed, skew)
        log.warning("not connected", endpoint=config.endpoint, line=self.index, error=str(error)[:300], status=status, clock_skew_seconds=skew)  # fmt: skip
        self._back_off.asked_to_wait(handshake.retry_after(error))
        if self._last_frame == (0, 0):
            self._last_frame = (self._desk.log.last_n, self._desk.clock.now_ns())
        fault = "ours" if cause == "auth_failed" else "unknown"
        self._lost(
            cause, {"status": status, "reason": str(error)[:300], "clock_skew_seconds": skew}, fault=fault
        )
        if cause == "auth_failed" and self._connection == 0:
            key = self._desk.keyring.current()
            raise handshake.key_refused(error, endpoint=config.endpoint, key_id=key.key_id if key else "none")

    # -- frames -----------------------------------------------------------------------------------

    def _on_frame(self, kind: int, payload: bytes, received_ns: int) -> None:
        """Into the log before anything reads it; called by the socket as bytes arrive."""
        overflow = self._desk.overflow
        if overflow.level and not overflow.takes(
            payload, line=self.index, connection=self._connection, last_frame=self._last_frame
        ):
            return
        n = self._desk.log.append(payload, kind=kind, connection=self._connection, received_ns=received_ns)
        self.frames += 1
        self._last_frame = (n, received_ns)

    def interpret(self, record: Record) -> KalshiSession | None:
        """Tell the conversation of one frame of this line; None where it is of a connection that is over."""
        session = self._session
        if session is None or record.connection != self._connection:
            return None
        try:
            findings = session.receive(
                record.payload,
                n=record.n,
                received_ns=record.received_ns,
                now_ns=self._desk.clock.steady_ns(),
            )
        except ProtocolError as error:
            self.give_up(error)
            return None
        if findings:
            self._draw(findings, record.received_ns)
        return session

    def _draw(self, findings: list[Finding], now_ns: int) -> None:
        if any(isinstance(finding, Ready) for finding in findings):
            self.is_ready = True
        self._desk.consequences.draw(
            findings,
            line=self.index,
            connection=self._connection,
            last_frame=self._last_frame,
            now_ns=now_ns,
        )

    async def send(self) -> None:
        """What the conversation has to say."""
        socket, session = self._socket, self._session
        if session is None or socket is None:
            return
        with suppress(ConnectionClosed):
            for command in session.commands_to_send():
                await socket.send(command)

    def give_up(self, error: ProtocolError) -> None:
        """The conversation cannot go on: end the connection, the next one starts anew."""
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._desk.config.feed, "venue").inc()
        if error.stalled and self._session is not None:
            self._stalled(error.stalled, self._session)
        self._drop_connection(error)

    def _stalled(self, channel: str, session: KalshiSession) -> None:
        """The connection stood all the while, and was fed nothing of this channel since its last frame."""
        last = session.last_of(channel)
        if last[2]:  # else it was never opened: the loss of its connection tells
            gap = stall_mark(channel, connection=self._connection, last=last)
            self._desk.gaps.open(gap, line=self.index)

    def _drop_connection(self, error: ProtocolError) -> None:
        log.warning("conversation given up", line=self.index, error=str(error))
        self._session, self._given_up = None, error
        if self._socket is not None:
            self._socket.abort()


def _require_alive(task: "asyncio.Task[bool]") -> None:
    if task.done():
        result_of(task)

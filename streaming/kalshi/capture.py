"""Keeps one connection to Kalshi open and records all that it says; talks back as the session decides."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from websockets.exceptions import ConnectionClosed, WebSocketException

from streaming import capture_metrics, marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi.back_off import BackOff
from streaming.kalshi.capture_config import CaptureConfig
from streaming.kalshi.consequences import Consequences
from streaming.kalshi.findings import Finding
from streaming.kalshi.followed import FollowedLog
from streaming.kalshi.frame_counts import FrameCounts
from streaming.kalshi.handshake import cause_of, key_refused, retry_after, status_of
from streaming.kalshi.markets import MarketBoard
from streaming.kalshi.overflow import CAUSE, Overflow
from streaming.kalshi.session import KalshiSession, ProtocolError
from streaming.kalshi.socket import NO_CLOSE, TOO_LARGE, KalshiSocket
from streaming.lifetime import result_of
from streaming.recording import OpenGaps
from streaming.records import Kind, Record
from streaming.session_clock import SessionClock

log = structlog.get_logger()


class Capture:
    """Connection after connection, until it is told to stop; `fresh` is set whenever the log has grown."""

    def __init__(
        self,
        config: CaptureConfig,
        capture_log: CaptureLog,
        board: MarketBoard,
        clock: SessionClock | None = None,
    ) -> None:
        self.fresh = asyncio.Event()
        self.frames = 0
        self._config = config
        self._log = capture_log
        self._board = board
        self._clock = clock or SessionClock()
        self._gaps = OpenGaps(capture_log, config.feed)
        self.overflow = Overflow(capture_log, self._gaps, config.feed)
        self._consequences = Consequences(
            capture_log, self._gaps, board, feed=config.feed, overflow=self.overflow
        )
        self.listing_due = self._consequences.listing_due
        self._reader = FollowedLog(capture_log.folder, self._give_up)
        self._connection = 0
        self._last_frame = (0, 0)  # (n, recv_ns) of this connection's last frame
        self._end_is_expected = False
        self._socket: KalshiSocket | None = None
        self._session: KalshiSession | None = None
        self._given_up: ProtocolError | None = None
        self._back_off = BackOff()
        self._counts = FrameCounts(config.feed)

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`; raises Refused when the venue refuses our key at the first attempt."""
        conversation = asyncio.create_task(self._converse(), name="conversation")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            while not stop.is_set():
                await self._one_connection(stopping, conversation)
                if self._end_is_expected:
                    await stopping
                await asyncio.wait(
                    {stopping, conversation},
                    timeout=self._back_off.next_wait(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._require_alive(stopping, conversation)
        finally:
            conversation.cancel()
            stopping.cancel()
            with suppress(asyncio.CancelledError):
                await conversation

    def expect_end(self) -> None:
        """A planned stop has begun, and the venue may go first: its goodbye is part of the plan."""
        self._end_is_expected = True

    def want_books(self) -> None:
        """The board has changed: subscribe what is wanted now."""
        if self._session is not None:
            self._session.want(self._board.wanted(), now_ns=self._clock.steady_ns())
            self.fresh.set()

    def _want_what_is_known(self, session: KalshiSession) -> None:
        """REST may be down for long: until it answers, the books that we know of are better than none."""
        session.want(self._board.wanted(), now_ns=self._clock.steady_ns(), is_complete=False)

    def on_time(self) -> None:
        """Once a second."""
        self._reader.remember()
        if self._session is None:
            return
        self._want_what_is_known(self._session)
        try:
            self._draw(self._session.on_time(self._clock.steady_ns()), self._clock.now_ns())
        except ProtocolError as error:
            self._give_up(error)
        self.fresh.set()

    def set_room(self, level: int) -> None:
        """The level of the policy that there is room for."""
        self.overflow.set_level(level, now_ns=self._clock.now_ns())
        if self._socket is not None and self.overflow.wants_new_connection(self._connection):
            self._drop_connection(ProtocolError("frames were dropped: books are asked anew", cause=CAUSE))

    def clock_was_set(self, step_ns: int, ahead_ns: int) -> None:
        """The wall clock stepped: said in the log, since its times are what everybody reads."""
        self._log.mark(marks.ClockStep(step_ns=step_ns, ahead_ns=ahead_ns))
        capture_metrics.CLOCK_STEPS.labels(self._config.feed).inc()
        log.warning("the wall clock was set", step_ns=step_ns, ahead_ns=ahead_ns)

    # -- connections ------------------------------------------------------------------------------

    async def _one_connection(
        self, stopping: "asyncio.Task[bool]", conversation: "asyncio.Task[None]"
    ) -> None:
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
        await asyncio.wait({ended, stopping, conversation}, return_when=asyncio.FIRST_COMPLETED)
        self._require_alive(stopping, conversation)
        if not ended.done():
            await socket.close()
        await asyncio.wait({ended})
        code, reason = result_of(ended)
        self._back_off.connected_for(time.monotonic() - opened_at)
        self._finish(code, reason, is_planned=stopping.done() or self._end_is_expected)

    def _require_alive(self, *tasks: "asyncio.Task[Any]") -> None:
        for task in tasks:
            if task.done():
                result_of(task)

    async def _open(self, stopping: "asyncio.Task[bool]") -> KalshiSocket | None:
        """None when we are asked to stop meanwhile."""
        opening = asyncio.create_task(
            KalshiSocket.open(self._config.endpoint, self._config.credentials, clock=self._clock.now_ns),
            name="open",
        )
        try:
            await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return result_of(opening) if opening.done() else None
        finally:
            opening.cancel()

    def _begin(self, socket: KalshiSocket) -> None:
        self._connection += 1
        self._last_frame = (self._log.last_n, self._clock.now_ns())
        self._log.mark(marks.ConnectionOpen(connection=self._connection), connection=self._connection)
        self._session = KalshiSession(use_yes_price=bool(self._config.subscribe.get("use_yes_price", False)))
        self._session.start(now_ns=self._clock.steady_ns())
        self._want_what_is_known(self._session)
        self._socket, self._given_up = socket, None
        socket.listen(self._on_frame)
        self.listing_due.set()
        self.fresh.set()
        metrics.CONNECTOR_CONNECTED.labels(self._config.feed).set(1)
        if self._connection > 1:
            metrics.CONNECTOR_RECONNECTS.labels(self._config.feed).inc()
        log.info("connected", endpoint=self._config.endpoint, connection=self._connection)

    def _finish(self, code: int, reason: str, *, is_planned: bool) -> None:
        self._log.try_again()
        self._interpret_all()  # what the last frames tell belongs to this connection
        if self._socket is not None:
            n, received_ns = self._last_frame
            self._last_frame = (n, max(received_ns, self._socket.heard_ns))
            if self._socket.was_silent:
                metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "watchdog").inc()
        self._socket = self._session = None
        metrics.CONNECTOR_CONNECTED.labels(self._config.feed).set(0)
        self._log.mark(marks.ConnectionClose(self._connection, code, reason), connection=self._connection)
        log.info("connection over", connection=self._connection, code=code, reason=reason, frames=self.frames)
        cause, detail = "connection_lost", {"code": code, "reason": reason}
        if self._given_up is not None:
            cause, detail = self._given_up.cause, {"reason": str(self._given_up)}
        elif code == TOO_LARGE:
            cause = "oversize_frame"
        # What it sent before it heard our goodbye was not all read, unless it answered it.
        if not is_planned or code in (NO_CLOSE, TOO_LARGE) or self._given_up is not None:
            self._lost(cause, detail, fault="unknown")

    def _lost(self, cause: str, detail: dict[str, object], *, fault: str) -> None:
        if cause == CAUSE:
            return  # its gap is open already, until the next connection is ready
        after_n, from_ns = self._last_frame
        gap = marks.GapOpen(
            cause=cause,
            connection=self._connection,
            from_ns=from_ns,
            after_n=after_n,
            fault=fault,
            detail=detail,
        )
        self._gaps.open(gap)

    def _not_connected(self, error: Exception) -> None:
        if self._end_is_expected:
            return
        cause, status = cause_of(error), status_of(error)
        kind = "auth" if cause == "auth_failed" else "connect"
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, kind).inc()
        log.warning("not connected", endpoint=self._config.endpoint, error=str(error)[:300], status=status)
        self._back_off.asked_to_wait(retry_after(error))
        if self._last_frame == (0, 0):
            self._last_frame = (self._log.last_n, self._clock.now_ns())
        fault = "ours" if cause == "auth_failed" else "unknown"
        self._lost(cause, {"status": status, "reason": str(error)[:300]}, fault=fault)
        if cause == "auth_failed" and self._connection == 0:
            key = self._config.credentials.key_id if self._config.credentials else "none"
            raise key_refused(error, endpoint=self._config.endpoint, key_id=key)

    # -- frames -----------------------------------------------------------------------------------

    def _on_frame(self, kind: int, payload: bytes, received_ns: int) -> None:
        """Into the log before anything reads it; called by the socket as bytes arrive."""
        overflow = self.overflow
        if overflow.level and not overflow.takes(
            payload, connection=self._connection, last_frame=self._last_frame
        ):
            return
        n = self._log.append(payload, kind=kind, connection=self._connection, received_ns=received_ns)
        self.frames += 1
        self._last_frame = (n, received_ns)

    async def _converse(self) -> None:
        """Follow the log; what the session decides is sent from here only."""
        while True:
            await self.fresh.wait()
            self.fresh.clear()
            while records := self._reader.read():
                self._interpret(records)
                await self._send()
                await asyncio.sleep(0)
            await self._send()

    def _interpret_all(self) -> None:
        while records := self._reader.read():
            self._interpret(records)

    def _interpret(self, records: list[Record]) -> None:
        for record in records:
            if record.kind == Kind.MARK or record.connection != self._connection or self._session is None:
                continue
            try:
                findings = self._session.receive(
                    record.payload,
                    n=record.n,
                    received_ns=record.received_ns,
                    now_ns=self._clock.steady_ns(),
                )
            except ProtocolError as error:
                self._give_up(error)
                continue
            self._counts.add(self._session.frame_type, self._session.sent_ms, record.received_ns)
            if findings:
                self._draw(findings, record.received_ns)

    def _draw(self, findings: list[Finding], now_ns: int) -> None:
        self._consequences.draw(
            findings, connection=self._connection, last_frame=self._last_frame, now_ns=now_ns
        )

    async def _send(self) -> None:
        socket, session = self._socket, self._session
        if session is None or socket is None:
            return
        with suppress(ConnectionClosed):
            for command in session.commands_to_send():
                await socket.send(command)

    def _give_up(self, error: ProtocolError) -> None:
        """The conversation cannot go on: end the connection, the next one starts anew."""
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "venue").inc()
        self._drop_connection(error)

    def _drop_connection(self, error: ProtocolError) -> None:
        log.warning("conversation given up", error=str(error))
        self._session, self._given_up = None, error
        if self._socket is not None:
            self._socket.abort()

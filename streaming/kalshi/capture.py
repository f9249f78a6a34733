"""Keeps one connection to Kalshi open and records all that it says; talks back as the session decides."""

import asyncio
import random
import time
from contextlib import suppress
from typing import Protocol

import structlog
from prometheus_client import Counter
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from registry.refusal import ExitCode, Reason, Refused
from streaming import marks, metrics
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.kalshi.markets import MarketBoard
from streaming.kalshi.messages import raw_type
from streaming.kalshi.rest import Credentials
from streaming.kalshi.session import (
    BooksHealed,
    BooksMissing,
    Finding,
    KalshiSession,
    MarketNews,
    ProtocolError,
    Ready,
    SequenceGap,
)
from streaming.kalshi.socket import KalshiSocket
from streaming.recording import OpenGaps, incomplete_mark, sequence_gap_mark
from streaming.records import Kind, Record

log = structlog.get_logger()

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
HEALTHY_AFTER_SECONDS = 60.0
LOST = ("connection_lost", "auth_failed")
_REFUSED_KEY = (401, 403)
_NO_CLOSE = 1006


class CaptureConfig(Protocol):
    """What capture needs of a connector's configuration."""

    @property
    def feed(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def credentials(self) -> Credentials | None: ...
    @property
    def subscribe(self) -> dict[str, bool]: ...


class Capture:
    """Connection after connection, until it is told to stop; `fresh` is set whenever the log has grown."""

    def __init__(self, config: CaptureConfig, capture_log: CaptureLog, board: MarketBoard) -> None:
        self.fresh = asyncio.Event()
        self.connected = asyncio.Event()
        self.frames = 0
        self._config = config
        self._log = capture_log
        self._board = board
        self._gaps = OpenGaps(capture_log, config.feed)
        self._reader = CaptureLogReader(capture_log.folder)
        self._connection = 0
        self._last_frame = (0, 0)  # (n, recv_ns) of this connection's last frame
        self._socket: KalshiSocket | None = None
        self._session: KalshiSession | None = None
        self._disk_failed: OSError | None = None
        self._received: dict[str, Counter] = {}
        self._lag = metrics.CONNECTOR_LAG.labels(config.feed)

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`; raises Refused when the venue refuses our key at the first attempt."""
        conversation = asyncio.create_task(self._converse(), name="conversation")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            wait = FIRST_WAIT_SECONDS
            while not stop.is_set():
                opened_at = time.monotonic()
                await self._one_connection(stopping, conversation)
                if time.monotonic() - opened_at > HEALTHY_AFTER_SECONDS:
                    wait = FIRST_WAIT_SECONDS
                await asyncio.wait({stopping}, timeout=random.uniform(wait / 2, wait))  # noqa: S311
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)
        finally:
            conversation.cancel()
            stopping.cancel()
            await self._read_the_rest(conversation)

    def want_books(self) -> None:
        """The board has changed: subscribe what is wanted now."""
        if self._session is not None:
            self._session.want(self._board.wanted(), now_ns=time.time_ns())
            self.fresh.set()

    def on_time(self, now_ns: int) -> None:
        """Once a second."""
        if self._session is None:
            return
        if self._session.is_wanting:
            self._session.want(self._board.wanted(), now_ns=now_ns)
        try:
            self._act(self._session.on_time(now_ns), now_ns)
        except ProtocolError as error:
            self._give_up(error)
        self.fresh.set()

    # -- connections ------------------------------------------------------------------------------

    async def _one_connection(
        self, stopping: "asyncio.Task[bool]", conversation: "asyncio.Task[None]"
    ) -> None:
        try:
            socket = await KalshiSocket.open(self._config.endpoint, self._config.credentials, self._on_frame)
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            self._not_connected(error)
            return
        self._begin(socket)
        ended = asyncio.create_task(socket.ended(), name="connection")
        await asyncio.wait({ended, stopping, conversation}, return_when=asyncio.FIRST_COMPLETED)
        if conversation.done():
            conversation.result()
        if not ended.done():
            await socket.close()
        self._finish(*await ended, is_planned=stopping.done())
        if self._disk_failed:
            raise self._disk_failed

    def _begin(self, socket: KalshiSocket) -> None:
        self._connection += 1
        self._last_frame = (self._log.last_n, time.time_ns())
        self._log.mark(marks.ConnectionOpen(connection=self._connection), connection=self._connection)
        self._session = KalshiSession(use_yes_price=bool(self._config.subscribe.get("use_yes_price", False)))
        self._session.start(now_ns=time.time_ns())
        self._socket = socket
        self.connected.set()
        self.fresh.set()
        metrics.CONNECTOR_CONNECTED.labels(self._config.feed).set(1)
        if self._connection > 1:
            metrics.CONNECTOR_RECONNECTS.labels(self._config.feed).inc()
        log.info("connected", endpoint=self._config.endpoint, connection=self._connection)

    def _finish(self, code: int, reason: str, *, is_planned: bool) -> None:
        self._socket = self._session = None
        metrics.CONNECTOR_CONNECTED.labels(self._config.feed).set(0)
        self._log.mark(marks.ConnectionClose(self._connection, code, reason), connection=self._connection)
        log.info("connection over", connection=self._connection, code=code, reason=reason, frames=self.frames)
        if not is_planned or code == _NO_CLOSE:  # what it sent before it heard our goodbye was not all read
            self._lost("connection_lost", {"code": code, "reason": reason}, fault="unknown")

    def _lost(self, cause: str, detail: dict[str, object], *, fault: str) -> None:
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
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "connect").inc()
        status = error.response.status_code if isinstance(error, InvalidStatus) else None
        log.warning("not connected", endpoint=self._config.endpoint, error=str(error), status=status)
        if status in _REFUSED_KEY and isinstance(error, InvalidStatus):
            if self._connection == 0:
                raise self._key_refused(error)
            self._lost("auth_failed", {"status": status}, fault="ours")
        elif self._last_frame == (0, 0):
            self._last_frame = (self._log.last_n, time.time_ns())
            self._lost("connection_lost", {"reason": str(error)}, fault="unknown")

    def _key_refused(self, error: InvalidStatus) -> Refused:
        said = bytes(error.response.body or b"").decode(errors="replace")[:300]
        key = self._config.credentials.key_id if self._config.credentials else "none"
        remedy = "Put the right api_key and api_secret where the environment's secret points to; check this machine's clock."
        problem = f"{self._config.endpoint} refused the key {key}: {error.response.status_code} {said}"
        return Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION)

    # -- frames -----------------------------------------------------------------------------------

    def _on_frame(self, kind: int, payload: bytes, received_ns: int) -> None:
        """On disk first; called by the socket as bytes arrive."""
        try:
            n = self._log.append(payload, kind=kind, connection=self._connection, received_ns=received_ns)
        except OSError as error:
            self._disk_failed = error
            raise
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

    async def _read_the_rest(self, conversation: "asyncio.Task[None]") -> None:
        with suppress(asyncio.CancelledError):
            await conversation
        while records := self._reader.read():
            self._interpret(records)

    def _interpret(self, records: list[Record]) -> None:
        for record in records:
            if record.kind == Kind.MARK or record.connection != self._connection or self._session is None:
                continue
            try:
                findings = self._session.receive(record.payload, n=record.n, received_ns=record.received_ns)
            except ProtocolError as error:
                self._give_up(error)
                continue
            self._count(self._session, record)
            if findings:
                self._act(findings, record.received_ns)

    def _count(self, session: KalshiSession, record: Record) -> None:
        kind = raw_type(session.frame_type)
        counter = self._received.get(kind)
        if counter is None:
            counter = self._received[kind] = metrics.CONNECTOR_RECEIVED.labels(self._config.feed, kind)
        counter.inc()
        if session.sent_ms is not None:
            self._lag.set(record.received_ns / 1e9 - session.sent_ms / 1e3)

    async def _send(self) -> None:
        if self._session is None or self._socket is None:
            return
        with suppress(ConnectionClosed):
            for command in self._session.commands_to_send():
                await self._socket.send(command)

    def _give_up(self, error: ProtocolError) -> None:
        """The conversation cannot go on: end the connection, the next one starts anew."""
        log.warning("conversation given up", error=str(error))
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "venue").inc()
        self._session = None
        if self._socket is not None:
            self._socket.abort()

    # -- findings ---------------------------------------------------------------------------------

    def _act(self, findings: list[Finding], now_ns: int) -> None:
        for finding in findings:
            match finding:
                case Ready():
                    self._ready(finding, now_ns)
                case MarketNews():
                    self._board.learn(finding.message)
                case SequenceGap():
                    self._sequence_gap(finding, now_ns)
                case BooksHealed():
                    self._gaps.close(
                        ["sequence_gap"], to_ns=now_ns, connection=self._connection, sid=finding.sid
                    )
                case BooksMissing():
                    self._books_missing(finding)

    def _ready(self, finding: Ready, now_ns: int) -> None:
        self._log.mark(marks.ConnectionReady(self._connection, finding.tickers), connection=self._connection)
        self._gaps.close(LOST, to_ns=now_ns)
        # What was missing on an earlier connection was asked for anew on this one.
        self._gaps.close(["sequence_gap", "subscription_incomplete"], to_ns=now_ns)
        log.info("ready", books=finding.tickers, connection=self._connection)

    def _sequence_gap(self, finding: SequenceGap, now_ns: int) -> None:
        skipped = finding.skipped
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "sequence").inc()
        self._gaps.open(sequence_gap_mark(finding, connection=self._connection, now_ns=now_ns))
        if finding.tickers is None:  # nothing to wait for: what was skipped is all that is missing
            self._gaps.close(["sequence_gap"], to_ns=now_ns, connection=self._connection, sid=skipped.sid)

    def _books_missing(self, finding: BooksMissing) -> None:
        self._gaps.open(incomplete_mark(finding, connection=self._connection, after=self._last_frame))

"""Keeps the lines to Kalshi open and records all that they say; talks back as their conversations decide."""

import asyncio
from collections.abc import Callable

import structlog

from streaming import capture_metrics, marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi.capture_config import CaptureConfig
from streaming.kalshi.consequences import Consequences
from streaming.kalshi.followed import FollowedLog
from streaming.kalshi.frame_counts import FrameCounts
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.line import Desk, Line
from streaming.kalshi.markets import MarketBoard
from streaming.kalshi.overflow import Overflow
from streaming.kalshi.plan import FIRST_LINE, Plan
from streaming.kalshi.protocol_error import ProtocolError
from streaming.kalshi.recent_trades import RecentTrades
from streaming.kalshi.shape_watch import ShapeWatch
from streaming.lifetime import result_of
from streaming.recording import OpenGaps
from streaming.records import Kind, Record
from streaming.session_clock import SessionClock

log = structlog.get_logger()


class Capture:
    """All lines of a session, until it is told to stop; `fresh` is set whenever the log has grown."""

    def __init__(
        self,
        config: CaptureConfig,
        capture_log: CaptureLog,
        board: MarketBoard,
        clock: SessionClock | None = None,
        *,
        plan: Plan | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self.fresh = asyncio.Event()
        self._config, self._log, self._board = config, capture_log, board
        self._clock = clock or SessionClock()
        self._plan = plan or Plan()
        self._gaps = OpenGaps(capture_log, config.feed)
        self.overflow = Overflow(capture_log, self._gaps, config.feed)
        self._consequences = Consequences(
            capture_log, self._gaps, board, feed=config.feed, overflow=self.overflow
        )
        self.listing_due = self._consequences.listing_due
        self._desk = self._share(keyring or Keyring(config.credentials))
        self._reader = FollowedLog(capture_log.folder, self._fell_behind)
        self._counts = FrameCounts(config.feed)
        self._shapes = ShapeWatch()
        self.recent_trades = RecentTrades()
        self.last_trade_ns = 0  # when the last one came
        self._end_is_expected = False
        self._lines: dict[int, Line] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._has_new_line = asyncio.Event()
        self._of_connection: dict[int, Line] = {}
        self._stop: asyncio.Event | None = None  # until it runs

    def _share(self, keyring: Keyring) -> Desk:
        return Desk(
            config=self._config,
            log=self._log,
            clock=self._clock,
            keyring=keyring,
            gaps=self._gaps,
            overflow=self.overflow,
            consequences=self._consequences,
            fresh=self.fresh,
            next_connection=self._next_connection,
            read_on=self._interpret_all,
            is_end_expected=lambda: self._end_is_expected,
            others_with_books=self._others_with_books,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop`; raises Refused when the venue refuses our key at the first attempt."""
        conversation = asyncio.create_task(self._converse(), name="conversation")
        self._stop = stop
        for index in self._plan.first_lines:
            self._line(index)
        try:
            await self._until_over(stop, conversation)
        finally:
            tasks = [conversation, *self._running.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_over(self, stop: asyncio.Event, conversation: "asyncio.Task[None]") -> None:
        """None of them may end before it is asked to; whichever fails ends all."""
        while lines := [task for task in self._running.values() if not (task.done() and stop.is_set())]:
            news = asyncio.create_task(self._has_new_line.wait(), name="new line")
            try:
                await asyncio.wait({conversation, news, *lines}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                news.cancel()
            self._has_new_line.clear()
            for task in (conversation, *self._running.values()):
                if task.done():
                    result_of(task)
                    if task is conversation or not stop.is_set():
                        raise RuntimeError(f"the task {task.get_name()!r} came to an end")

    @property
    def frames(self) -> int:
        """Frames recorded so far."""
        return sum(line.frames for line in self._lines.values())

    @property
    def is_ready(self) -> bool:
        """Whether every line has all that it should carry."""
        return bool(self._lines) and all(line.is_ready for line in self._lines.values())

    def expect_end(self) -> None:
        """A planned stop has begun, and the venue may go first: its goodbye is part of the plan."""
        self._end_is_expected = True

    def want_books(self) -> None:
        """The venue has listed its markets: subscribe what is wanted now."""
        self._spread(is_complete=True)
        self.fresh.set()

    def on_time(self) -> None:
        """Once a second. REST may be down for long: until it answers, the books that we know of are better than none."""
        self._reader.remember()
        self._spread(is_complete=False)
        for line in list(self._lines.values()):
            line.on_time()
        self.fresh.set()

    def set_room(self, level: int) -> None:
        """The level of the policy that there is room for."""
        self.overflow.set_level(level, now_ns=self._clock.now_ns())
        for line in self._lines.values():
            line.look_for_room()

    @property
    def takes_trades(self) -> bool:
        """Whether the connection that carries all markets' trades is ready."""
        return FIRST_LINE in self._lines and self._lines[FIRST_LINE].is_ready

    def trades_stalled(self) -> None:
        """The exchange trades, and we are fed nothing of it."""
        error = ProtocolError("the exchange trades and no trade comes", cause="data_stall", stalled="trade")
        self._lines[FIRST_LINE].give_up(error)

    def exchange_is(self, state: str, *, resumes: str = "") -> None:
        """What the exchange says of itself; empty: it trades."""
        self._consequences.exchange_is(state, now_ns=self._clock.now_ns(), resumes=resumes)

    def on_gap_closed(self, told: Callable[[int, marks.GapOpen, int], None]) -> None:
        """`told` is called with each loss that is over: number, mark, end."""
        self._gaps.on_closed = told

    def clock_was_set(self, step_ns: int, ahead_ns: int) -> None:
        """The wall clock stepped: said in the log, since its times are what everybody reads."""
        self._log.mark(marks.ClockStep(step_ns=step_ns, ahead_ns=ahead_ns))
        capture_metrics.CLOCK_STEPS.labels(self._config.feed).inc()
        log.warning("the wall clock was set", step_ns=step_ns, ahead_ns=ahead_ns)

    # -- lines ------------------------------------------------------------------------------------

    def _spread(self, *, is_complete: bool) -> None:
        """Every wanted book on its line; a line that is needed and not there is opened."""
        placed = self._plan.place(self._board.wanted())
        for index in placed:
            self._line(index)
        for index, line in self._lines.items():
            line.want(placed.get(index, ()), is_complete=is_complete)
        self._consequences.without_room(self._plan.overflow, now_ns=self._clock.now_ns())

    def _line(self, index: int) -> None:
        if index in self._lines or self._stop is None:
            return
        plan = self._plan
        line = self._lines[index] = Line(
            index,
            self._desk,
            firehoses=plan.firehoses(index),
            channels=plan.channels(index),
            has_books=plan.carries_books(index),
        )
        self._running[index] = asyncio.create_task(line.run(self._stop), name=f"line {index}")
        self._has_new_line.set()

    def _next_connection(self, line: Line) -> int:
        number = len(self._of_connection) + 1
        self._of_connection[number] = line
        return number

    def _others_with_books(self, line: Line) -> bool:
        return any(one.has_books and one.is_ready for one in self._lines.values() if one is not line)

    # -- frames -----------------------------------------------------------------------------------

    async def _converse(self) -> None:
        """Follow the log; what the conversations decide is sent from here only."""
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
            line = self._of_connection.get(record.connection)
            if record.kind == Kind.MARK or line is None:
                continue
            if (session := line.interpret(record)) is not None:
                self._counts.add(session.frame_type, session.sent_ms, record.received_ns)
                for problem in self._shapes.look(session.frame_type, record.payload):
                    self._drifted(record, problem)
                if session.frame_type == "trade":
                    self.recent_trades.note(record.payload)
                    self.last_trade_ns = record.received_ns

    def _drifted(self, record: Record, problem: str) -> None:
        """The venue has changed its wire: the frame is kept, and somebody should know before it hurts."""
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "wire_drift").inc()
        log.error("the wire has changed", problem=problem, record=record.n)
        self._log.mark(marks.WireDrift(n=record.n, problem=problem), connection=record.connection)

    async def _send(self) -> None:
        for line in list(self._lines.values()):
            await line.send()

    def _fell_behind(self, error: ProtocolError) -> None:
        for line in self._lines.values():
            line.give_up(error)

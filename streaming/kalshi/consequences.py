"""What follows from the session's findings: gap marks in the capture log, news for the board of markets."""

import asyncio

import structlog

from streaming import marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi.findings import (
    BookFound,
    BooksHealed,
    BooksMissing,
    Finding,
    MarketNews,
    Ready,
    SequenceGap,
)
from streaming.kalshi.markets import MarketBoard
from streaming.kalshi.overflow import Overflow
from streaming.recording import OpenGaps, incomplete_mark, sequence_gap_mark

log = structlog.get_logger()

LIFECYCLE = "market_lifecycle_v2"
# Losses of a whole connection: over as soon as the next one is ready.
LOST = ("connection_lost", "auth_failed", "rate_limited", "venue_overflow", "oversize_frame", "data_stall")
EXCHANGE = ("exchange_outage", "exchange_paused")
NO_LINE = -1
OF_BOOKS = ("sequence_gap", "subscription_incomplete")


class Consequences:
    """`listing_due` is set whenever what REST says of the markets may be news."""

    def __init__(
        self,
        capture_log: CaptureLog,
        gaps: OpenGaps,
        board: MarketBoard,
        *,
        feed: str,
        overflow: Overflow | None = None,
    ) -> None:
        self.listing_due = asyncio.Event()
        self._without_room: set[str] = set()
        self._exchange = ""
        self._overflow = overflow or Overflow(capture_log, gaps, feed)
        self._log, self._gaps, self._board, self._feed = capture_log, gaps, board, feed

    def draw(
        self,
        findings: list[Finding],
        *,
        connection: int,
        last_frame: tuple[int, int],
        now_ns: int,
        line: int = 0,
    ) -> None:
        """Act on the findings of one connection of a line; `last_frame` is (n, recv_ns)."""
        for finding in findings:
            match finding:
                case Ready():
                    self._ready(finding, line, connection, now_ns)
                case MarketNews():
                    self._board.learn(finding.message)
                case SequenceGap():
                    self._sequence_gap(finding, line, connection, now_ns)
                case BooksHealed():
                    self._gaps.close(["sequence_gap"], to_ns=now_ns, connection=connection, sid=finding.sid)
                case BooksMissing() if self._overflow.hurts_sequences:
                    pass  # its snapshot came perhaps, and was dropped: the open gap says so
                case BooksMissing():
                    for ticker in finding.tickers:
                        missing = incomplete_mark(ticker, connection=connection, after=last_frame)
                        self._gaps.open(missing, line=line)
                case BookFound():
                    self._found(finding.ticker, connection, now_ns)

    def _ready(self, finding: Ready, line: int, connection: int, now_ns: int) -> None:
        self._log.mark(marks.ConnectionReady(connection, finding.tickers), connection=connection)
        self._gaps.close(LOST, to_ns=now_ns, line=line)
        self._overflow.ready(line, connection, now_ns=now_ns)
        # What was missing on an earlier connection was asked for anew on this one.
        self._gaps.close_earlier(OF_BOOKS, to_ns=now_ns, line=line, than_connection=connection)
        log.info("ready", books=finding.tickers, line=line, connection=connection)

    def _sequence_gap(self, finding: SequenceGap, line: int, connection: int, now_ns: int) -> None:
        if finding.channel == LIFECYCLE:  # a market may have been created or determined unheard
            self.listing_due.set()
        if self._overflow.hurts_sequences:
            return  # what was skipped is what we dropped, and lies inside the gap that is open
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._feed, "sequence").inc()
        self._gaps.open(sequence_gap_mark(finding, connection=connection, now_ns=now_ns), line=line)
        if not finding.tickers:  # no book to wait for: what was skipped is all that is missing
            self._gaps.close(["sequence_gap"], to_ns=now_ns, connection=connection, sid=finding.skipped.sid)

    def _found(self, ticker: str, connection: int, now_ns: int) -> None:
        self._gaps.close(["subscription_incomplete"], to_ns=now_ns, connection=connection, ticker=ticker)

    def exchange_is(self, state: str, *, now_ns: int, resumes: str = "") -> None:
        """What the venue says of itself: `exchange_outage`, `exchange_paused`, or nothing out of the ordinary."""
        if state != self._exchange:
            log.warning("the exchange changed", before=self._exchange, now=state, resumes=resumes)
            self._gaps.close(EXCHANGE, to_ns=now_ns, line=NO_LINE)
        if state and state != self._exchange:
            gap = marks.GapOpen(
                cause=state,
                connection=0,
                from_ns=now_ns,
                after_n=self._log.last_n,
                planned=state == "exchange_paused",
                fault="exchange",
                detail={"resumes": resumes},
            )
            self._gaps.open(gap, line=NO_LINE)
        self._exchange = state

    def without_room(self, tickers: set[str], *, now_ns: int) -> None:
        """These markets' books found no place on any line: each is a loss of its own until it finds one."""
        for ticker in sorted(tickers - self._without_room):
            at = (self._log.last_n, now_ns)
            self._gaps.open(incomplete_mark(ticker, connection=0, after=at, fault="ours"), line=NO_LINE)
        for ticker in sorted(self._without_room - tickers):
            self._gaps.close(["subscription_incomplete"], to_ns=now_ns, line=NO_LINE, ticker=ticker)
        if tickers != self._without_room:
            log.error("order books without room", books=len(tickers), remedy="raise connections.most")
            metrics.CONNECTOR_BOOKS_WITHOUT_ROOM.labels(self._feed).set(len(tickers))
        self._without_room = set(tickers)

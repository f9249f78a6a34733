"""The gaps of one running session: which losses go on, and the marks that open and close them."""

from collections.abc import Callable, Sequence

from streaming import marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi.findings import SequenceGap
from streaming.kalshi.messages import raw_type


class OpenGaps:
    """Writes gap marks; the same loss is opened once, however often it is found."""

    def __init__(self, log: CaptureLog, feed: str) -> None:
        self.on_closed: Callable[[int, marks.GapOpen, int], None] = lambda n, gap, to_ns: None
        self._log = log
        self._open: dict[int, marks.GapOpen] = {}  # by the mark's n
        self._lines: dict[int, int] = {}  # likewise
        self._count = metrics.CONNECTOR_GAPS.labels(feed)
        self._gauge = metrics.CONNECTOR_GAPS_OPEN.labels(feed)

    def open(self, gap: marks.GapOpen, *, line: int = 0) -> None:
        """Mark the loss, unless it is open already; `line` is the one that lost something."""
        if any(_is_same(gap, known) and self._lines[n] == line for n, known in self._open.items()):
            return
        n = self._log.mark(gap, connection=gap.connection)
        self._open[n], self._lines[n] = gap, line
        self._count.inc()
        self._gauge.set(len(self._open))

    def close(
        self,
        causes: Sequence[str],
        *,
        to_ns: int,
        line: int | None = None,
        connection: int | None = None,
        sid: int | None = None,
        ticker: str | None = None,
    ) -> None:
        """Mark the end of every open loss of these causes (of this line, connection, sid, market: where given)."""
        for n, gap in list(self._open.items()):
            wanted = (
                line in (None, self._lines[n]),
                connection in (None, gap.connection),
                sid in (None, gap.sid),
            )
            if gap.cause in causes and all(wanted) and (ticker is None or ticker in gap.tickers):
                self._end(n, to_ns)

    def close_earlier(self, causes: Sequence[str], *, to_ns: int, line: int, than_connection: int) -> None:
        """Mark the end of these losses where they began on an earlier connection of the line."""
        for n, gap in list(self._open.items()):
            if gap.cause in causes and gap.connection < than_connection and self._lines[n] == line:
                self._end(n, to_ns)

    def _end(self, n: int, to_ns: int) -> None:
        gap = self._open.pop(n)
        del self._lines[n]
        self._log.mark(marks.GapClose(gap=n, to_ns=to_ns), connection=gap.connection)
        self._gauge.set(len(self._open))
        self.on_closed(n, gap, to_ns)


def _is_same(one: marks.GapOpen, other: marks.GapOpen) -> bool:
    """Each hole has a mark of its own: two are the same only if they follow the same frame."""
    facts = ((gap.cause, gap.connection, gap.sid, gap.after_n, gap.tickers) for gap in (one, other))
    return next(facts) == next(facts)


def sequence_gap_mark(finding: SequenceGap, *, connection: int, now_ns: int) -> marks.GapOpen:
    """Skipped frames of one subscription; trades can be fetched again, books never."""
    return marks.GapOpen(
        cause="sequence_gap",
        connection=connection,
        from_ns=finding.after_ns or now_ns,
        after_n=finding.after_n,
        sid=finding.skipped.sid,
        tickers=list(finding.tickers or ()),
        healable=finding.tickers is None,
        fault="exchange",
        detail={"expected": finding.skipped.expected, "received": finding.skipped.received},
        channel=raw_type(finding.channel) if finding.channel else "",
    )


def incomplete_mark(
    ticker: str, *, connection: int, after: tuple[int, int], fault: str = "exchange"
) -> marks.GapOpen:
    """A market whose book was asked for and never came; `after` is (n, recv_ns) of the last frame."""
    return marks.GapOpen(
        cause="subscription_incomplete",
        connection=connection,
        from_ns=after[1],
        after_n=after[0],
        tickers=[ticker],
        fault=fault,
    )


def stall_mark(channel: str, *, connection: int, last: tuple[int, int, int]) -> marks.GapOpen:
    """A channel that was fed nothing although its connection stood; `last` is sid, n, recv_ns of its last frame."""
    sid, after_n, after_ns = last
    return marks.GapOpen(
        cause="data_stall",
        connection=connection,
        from_ns=after_ns,
        after_n=after_n,
        sid=sid,
        healable=channel == "trade",
        fault="exchange",
        channel=raw_type(channel),
    )

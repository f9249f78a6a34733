"""The gaps of one running session: which losses go on, and the marks that open and close them."""

from collections.abc import Sequence

from streaming import marks, metrics
from streaming.capture_log import CaptureLog
from streaming.kalshi.session import BooksMissing, SequenceGap


class OpenGaps:
    """Writes gap marks; a loss of one kind on one subscription is open at most once."""

    def __init__(self, log: CaptureLog, feed: str) -> None:
        self._log = log
        self._open: dict[tuple[str, int, int], int] = {}
        self._count = metrics.CONNECTOR_GAPS.labels(feed)
        self._gauge = metrics.CONNECTOR_GAPS_OPEN.labels(feed)

    def open(self, gap: marks.GapOpen) -> None:
        """Mark the loss, unless one of its kind is open already."""
        key = (gap.cause, gap.connection, gap.sid)
        if key in self._open:
            return
        self._open[key] = self._log.mark(gap, connection=gap.connection)
        self._count.inc()
        self._gauge.set(len(self._open))

    def close(
        self, causes: Sequence[str], *, to_ns: int, connection: int | None = None, sid: int | None = None
    ) -> None:
        """Mark the end of every open loss of these causes (on this connection and subscription, where given)."""
        for key in list(self._open):
            cause, on, of = key
            if cause in causes and connection in (None, on) and sid in (None, of):
                self._log.mark(marks.GapClose(gap=self._open.pop(key), to_ns=to_ns), connection=on)
        self._gauge.set(len(self._open))


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
    )


def incomplete_mark(finding: BooksMissing, *, connection: int, after: tuple[int, int]) -> marks.GapOpen:
    """Markets whose books were asked for and never came; `after` is (n, recv_ns) of the last frame."""
    return marks.GapOpen(
        cause="subscription_incomplete",
        connection=connection,
        from_ns=after[1],
        after_n=after[0],
        tickers=list(finding.tickers),
        fault="exchange",
    )

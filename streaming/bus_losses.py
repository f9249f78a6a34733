"""Tells what the bus lost after it had acknowledged it: in the capture log, in a metric, to whoever reads the bus."""

from collections.abc import Callable

import structlog
from prometheus_client import Counter

from streaming import marks
from streaming.anchors import Hole
from streaming.events import GapNotice
from streaming.kalshi.normalizer import gap_notice

log = structlog.get_logger()

STREAM_HOLE = "stream_hole"
WHYS = ("deleted", "recreated", "rolled back", "purged")
HOLES = Counter(
    "ssmd_connector_bus_holes_total", "Times that the bus lost what it had acknowledged", ["feed", "why"]
)
RECORDS = Counter(
    "ssmd_connector_bus_lost_records_total", "Records whose events are perhaps gone from the bus", ["feed"]
)

Mark = Callable[
    [marks.Mark], int | None
]  # writes into the capture log; the mark's n, or None once the log has ended


class BusLosses:
    """One session's. Its marks make the gap rows; the publisher finds them in the log and sends books anew."""

    def __init__(self, feed: str, session: str, mark: Mark | None) -> None:
        self._feed, self._session, self._mark = feed, session, mark
        self.first_unmarked_n: int | None = None  # what no mark tells: the next session must
        self.notices: list[GapNotice] = []  # to be sent before anything else
        RECORDS.labels(feed)
        for why in WHYS:
            HOLES.labels(feed, why)

    def tell(self, hole: Hole, *, is_log_open: bool) -> None:
        """Everybody who has to know."""
        HOLES.labels(self._feed, hole.why).inc()
        RECORDS.labels(self._feed).inc(hole.last_n - hole.first_n + 1)
        log.error(
            "the bus lost what it had acknowledged", why=hole.why, first_n=hole.first_n, last_n=hole.last_n
        )
        opening = gap_mark(hole)
        number = self._write(opening, hole.to_ns) if is_log_open else None
        if number is None:
            self.leave(hole.first_n)
        else:
            # The mark says so, too, but behind all that waits to be published: readers must not trust books till then.
            self.notices.append(gap_notice(self._session, number, opening))

    def leave(self, first_n: int) -> None:
        """From there on the next session has to tell what is not published: no mark of this one can."""
        known = self.first_unmarked_n
        self.first_unmarked_n = first_n if known is None else min(known, first_n)

    def _write(self, opening: marks.GapOpen, to_ns: int) -> int | None:
        if self._mark is None:
            return None
        try:
            number = self._mark(opening)
            if number is not None:
                self._mark(marks.GapClose(gap=number, to_ns=to_ns))
        except OSError:  # the disk is full: capture has its own way to say so
            return None
        return number


def gap_mark(hole: Hole) -> marks.GapOpen:
    """The hole as the capture log states it: raw has all of it, so nothing is lost for ever."""
    return marks.GapOpen(
        cause=STREAM_HOLE,
        connection=0,
        from_ns=hole.from_ns,
        after_n=max(hole.first_n - 1, 0),
        healable=True,
        fault="ours",
        unpublished_from=max(hole.first_n, 1),
        unpublished_to=max(hole.last_n, 1),
        detail={"note": f"the bus lost what it had acknowledged: its stream was {hole.why}"},
    )

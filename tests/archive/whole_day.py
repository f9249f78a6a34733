"""A day of 24 hours at speed: three sessions through the real capture log, with losses of several kinds."""

from collections.abc import Callable
from datetime import UTC, date, datetime

from registry.calendar import midnight_ns
from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.kalshi.findings import SequenceGap
from streaming.kalshi.sequence import Skipped
from streaming.recording import OpenGaps, incomplete_mark, sequence_gap_mark
from streaming.records import Kind
from tests.archive.conftest import FEED, SessionMaker, trade

ON = date(2025, 12, 14)
MIDNIGHT = midnight_ns(ON)
SECOND = 10**9
EVERY = 30  # seconds between records
NEXT_NIGHT = datetime(2025, 12, 15, 1, tzinfo=UTC)


class Recorder:
    """One session, as the connector writes it; times are seconds of the day."""

    def __init__(self, session: SessionMaker, name: str, at: float) -> None:
        self.log: CaptureLog = session(f"{FEED}-{name}", at_ns=MIDNIGHT + round(at * SECOND))
        self.gaps = OpenGaps(self.log, FEED)
        self.connection = 0
        self._at = at

    def at(self, seconds: float) -> int:
        """Go on to this moment, with a trade now and then."""
        while self._at + EVERY < seconds:
            self._at += EVERY
            self._set(self._at)
            self.log.append(trade(round(self._at) % 1000 + 1), kind=Kind.TEXT, connection=self.connection)
        self._at = seconds
        return self._set(seconds)

    def _set(self, seconds: float) -> int:
        now_ns = MIDNIGHT + round(seconds * SECOND)
        self.log._clock.now_ns = now_ns  # type: ignore[attr-defined]
        return now_ns

    def connect(self, opened: float, ready: float) -> None:
        """A connection that is ready some time after it was opened."""
        self.at(opened)
        self.connection += 1
        self.log.mark(marks.ConnectionOpen(self.connection), connection=self.connection)
        now_ns = self.at(ready)
        self.log.mark(marks.ConnectionReady(self.connection, 4), connection=self.connection)
        self.gaps.close(["connection_lost"], to_ns=now_ns)

    def lose(self, seconds: float) -> None:
        """The connection ends though nobody wanted it to."""
        from_ns = self.at(seconds)
        self.log.mark(marks.ConnectionClose(self.connection, 1006, "reset"), connection=self.connection)
        self.gaps.open(
            marks.GapOpen(
                cause="connection_lost",
                connection=self.connection,
                from_ns=from_ns,
                after_n=self.log.last_n - 1,
                detail={"code": 1006, "reason": "reset"},
            )
        )

    def skip(self, after: float, seconds: float, channel: str, tickers: tuple[str, ...] | None) -> None:
        """Frames of a subscription never came."""
        after_ns = self.at(after)
        after_n = self.log.last_n
        now_ns = self.at(seconds)
        finding = SequenceGap(Skipped(2, 7, 9), channel, tickers, after_n, after_ns)
        self.gaps.open(sequence_gap_mark(finding, connection=self.connection, now_ns=now_ns))
        self.gaps.close(["sequence_gap"], to_ns=now_ns)

    def miss_book(self, seconds: float, until: float) -> None:
        """One market's book does not come."""
        now_ns = self.at(seconds)
        gap = incomplete_mark("KXETH-1", connection=self.connection, after=(self.log.last_n, now_ns))
        self.gaps.open(gap)
        self.gaps.close(["subscription_incomplete"], to_ns=self.at(until))

    def stop(self, seconds: float) -> None:
        """A planned stop; its gap mark is written a moment after the connection's end."""
        self.at(seconds)
        self.log.mark(marks.ConnectionClose(self.connection, 1000, ""), connection=self.connection)
        from_ns = self.at(seconds + 0.5)
        self._end("planned_teardown", from_ns, "stopped", planned=True)

    def crash(self, seconds: float) -> None:
        """What the shipper writes for the dead."""
        self._end("process_crash", self.at(seconds), "process_crash", planned=False)

    def _end(self, cause: str, from_ns: int, reason: str, *, planned: bool) -> None:
        gap = marks.GapOpen(
            cause=cause,
            connection=0,
            from_ns=from_ns,
            after_n=self.log.last_n,
            planned=planned,
            fault="ours",
        )
        self.log.mark(gap)
        self.log.mark(marks.SessionEnd(reason))


def record_whole_day(session: SessionMaker, ship: Callable[..., None]) -> None:
    """From 23:00 of the day before to 00:30 of the day after."""
    first = Recorder(session, "20251213T230000Z-a", -3_600)
    first.connect(-3_600, -3_595)
    first.stop(0)
    second = Recorder(session, "20251214T001000Z-b", 600)
    second.connect(600, 605)
    second.lose(21_600)
    second.connect(21_625, 21_630)
    second.skip(32_400, 32_402, "trade", None)
    second.skip(36_000, 36_010, "orderbook_delta", ("KXBTC-1", "KXETH-1"))
    second.miss_book(40_000, 40_100)
    second.crash(54_000)
    third = Recorder(session, "20251214T150020Z-c", 54_020)
    third.connect(54_020, 54_025)
    third.stop(88_200)
    ship()

"""The events of one shard of a day's tickers, read out of the planned raw lines; nothing is written here."""

from collections.abc import Iterator
from datetime import date, timedelta

import google_crc32c
import msgspec

from archive.carry import taken_up
from archive.day_lines import DayLine, first_n_on, hour_lines, hours_of, session_lines
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.seal_manifest import DayManifest, Plan, QualityCount
from archive.store import Store
from streaming import wire
from streaming.events import GapNotice, MarketEvent
from streaming.issues import Issue, IssueKind
from streaming.kalshi.messages import OF_BOOKS, decode_heading
from streaming.kalshi.normalizer import Normalizer
from streaming.subjects import token_of
from streaming.wire import WireError

DAYS_BACK = 366  # how far a session may reach back
FOLDERS = ["trade", "orderbook", "status", "ticker"]
_NUMBER = {"trade": 0, "orderbook": 1, "checkpoint": 1, "status": 2, "ticker": 3}
_END = b'"session_end"'


class ShardEvents:
    """The events of the tickers of one shard, in order of receive time; what the others need is only counted."""

    def __init__(self, raw: Store, plan: Plan, base: DayManifest | None, shard: int) -> None:
        self._raw, self._plan, self._base, self._shard = raw, plan, base, shard
        self._sessions: dict[str, Normalizer] = {}
        self._ended: set[str] = set()
        self._mine: dict[str, bool] = {}
        self.identities = IdentitySet()
        self.quality: dict[tuple[str, str], QualityCount] = {}  # by session and issue
        self.unmappable = 0

    def __iter__(self) -> Iterator[tuple[int, str, int, str, int, int, bytes]]:
        """(folder number, ticker, recv_ns, session, n, k, message) of each event."""
        for hour in hours_of(self._plan, self._base):
            for line in hour_lines(self._raw, self._plan, self._base, hour):
                normalizer = self._sessions.get(line.session)
                if normalizer is None:
                    normalizer = self._sessions[line.session] = self._begin(line)
                for event in self._read(normalizer, line):
                    message = self._message(normalizer, line, event)
                    if message is not None:
                        k = event.origin.k
                        self.identities.add(line.session, line.n, k)
                        kind = _NUMBER[token_of(event)]
                        yield kind, event.ticker, line.recv_ns, line.session, line.n, k, message
                if normalizer.issues:
                    self._note(line, normalizer.issues)
                if line.is_mark and _END in line.raw.record.payload:
                    self._ended.add(line.session)

    def _read(self, normalizer: Normalizer, line: DayLine) -> list[MarketEvent]:
        """This shard's events of a line."""
        record = line.raw.record
        if self._plan.shards > 1 and not line.is_mark:
            heading = decode_heading(record.payload)
            if heading is not None and not self._is_mine(heading.msg.market_ticker):
                is_of_book = heading.type in OF_BOOKS
                normalizer.pass_over(record.connection, heading.sid, heading.seq, is_of_book=is_of_book)
                return []
        events = [one for one in normalizer.apply(record) if not isinstance(one, GapNotice)]
        if self._plan.shards == 1:
            return events
        for event in events:
            if not self._is_mine(
                event.ticker
            ):  # its other frames are passed over: nothing true is known of it
                normalizer.fold.drop(event.ticker)
        return [event for event in events if self._is_mine(event.ticker)]

    def _message(self, normalizer: Normalizer, line: DayLine, event: MarketEvent) -> bytes | None:
        """The event as it is stored; one value that does not fit must not cost the whole day."""
        try:
            return wire.encode(event)
        except WireError as error:
            normalizer.fold.forget([event.ticker])  # whoever reads the deltas misses this one
            self._note(line, (Issue(IssueKind.PARSE_ERROR, line.n, str(error), event.ticker, is_lost=True),))
            return None

    def _is_mine(self, ticker: str) -> bool:
        known = self._mine.get(ticker)
        if known is None:
            known = self._mine[ticker] = shard_of(ticker, self._plan.shards) == self._shard
        return known

    def _begin(self, first: DayLine) -> Normalizer:
        """A session that began on an earlier day goes on from there: its books reach into this day."""
        normalizer = Normalizer(first.session, mapper=self._plan.mapper or None)
        if first.n == 1:
            return normalizer
        known = taken_up(self._raw, self._plan, first.session, first.n, self._is_mine)
        if known is not None:
            return known
        for line in earlier_lines(self._raw, self._plan, first):
            self._read(normalizer, line)
        return normalizer

    def _note(self, line: DayLine, issues: tuple[Issue, ...]) -> None:
        for issue in issues:
            if not self._is_mine(issue.ticker):  # what names no ticker belongs to one shard, too
                continue
            self.unmappable += issue.is_lost
            kind = issue.kind.value
            known = self.quality.get((line.session, kind)) or QualityCount(
                issue=kind, count=0, session=line.session, n=issue.n, sample=issue.sample
            )
            self.quality[line.session, kind] = msgspec.structs.replace(known, count=known.count + 1)

    def carried(self) -> dict[str, tuple[int, bytes]]:
        """What the sessions that go on know at the end."""
        return {
            session: (self._plan.sessions[session][1], normalizer.state())
            for session, normalizer in self._sessions.items()
            if session not in self._ended
        }

    @property
    def mappers(self) -> list[str]:
        """The ids of the mappers that read something."""
        return sorted({mapper for one in self._sessions.values() for mapper in one.mappers})


def shard_of(ticker: str, shards: int) -> int:
    """Which shard a ticker belongs to: for ever the same."""
    return int(google_crc32c.value(ticker.encode()) % shards)


def earlier_lines(raw: Store, plan: Plan, first: DayLine) -> Iterator[DayLine]:
    """The session's records before its first one of this day."""
    due, on, days = first.n, plan.date, list[date]()
    while due > 1 and len(days) < DAYS_BACK:
        on -= timedelta(days=1)
        found = first_n_on(raw, plan.feed, on, first.session)
        if found is None:
            break
        due = found
        days.append(on)
    if due > 1:
        raise Damaged(f"records 1 to {due - 1} of {first.session} are not in the archive of the days before")
    for on in reversed(days):
        yield from session_lines(raw, plan.feed, on, first.session)

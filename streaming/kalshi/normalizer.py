"""A session's records to events: mapper and fold together, in order of n. Pure: the same records, the same events."""

import msgspec

from streaming import marks
from streaming.events import Event, GapNotice, MarketEvent, MarketStatus, Origin, Status
from streaming.fold import Fold
from streaming.kalshi.mapper import Mapper, Unmappable
from streaming.kalshi.messages import Envelope, decode_envelope
from streaming.kalshi.sequence import SeqCounter
from streaming.records import Kind, Record

_OF_BOOKS = ("orderbook_delta", "orderbook_snapshot")


class Normalizer:
    """Reads one session from its first record on."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.fold = Fold()
        self.unmappable = 0
        self.problem = ""  # why the last unmappable frame was one
        self.frame_type = ""  # of the last frame, as the venue calls it; empty where it could not be read
        self._mapper = Mapper(session=session, use_yes_price=False)
        self._sequence = SeqCounter()
        self._book_sids: set[int] = set()
        self._open_gaps: dict[int, GapNotice] = {}

    def apply(self, record: Record) -> list[Event]:
        """The record's events; frames that hold none, and frames that cannot be read, give an empty list."""
        if record.kind == Kind.MARK:
            return self._mark(record, marks.decode(record.payload))
        self.frame_type = ""
        try:
            envelope = decode_envelope(record.payload)
            self.frame_type = envelope.type
            return list(self._frame(record, envelope))
        except (msgspec.DecodeError, Unmappable) as error:
            self.unmappable += 1
            self.problem = str(error)[:300]
            return []

    def pass_over(self, sid: int | None, seq: int | None, *, is_of_book: bool) -> None:
        """Count a frame of a market that somebody else reads: a loss shows in the numbers of all markets."""
        if self._sequence.is_repeated(sid, seq):
            return
        if sid is not None and is_of_book:
            self._book_sids.add(sid)
        if self._sequence.check(sid, seq) and sid in self._book_sids:
            self.fold.forget()

    def _frame(self, record: Record, envelope: Envelope) -> list[MarketEvent]:
        if self._sequence.is_repeated(envelope.sid, envelope.seq):
            return []
        if envelope.sid is not None and envelope.type in _OF_BOOKS:
            self._book_sids.add(envelope.sid)
        if self._sequence.check(envelope.sid, envelope.seq) and envelope.sid in self._book_sids:
            self.fold.forget()  # which markets lost something, only the venue knows
        event = self._mapper.map(record, envelope)
        if event is None:
            return []
        if isinstance(event, MarketStatus) and event.status is Status.SETTLED:
            self.fold.drop(event.ticker)
        return self.fold.apply(event)

    def _mark(self, record: Record, mark: marks.Mark) -> list[Event]:
        match mark:
            case marks.SessionStart():
                asked = bool(mark.subscribe.get("use_yes_price", False))
                self._mapper = Mapper(session=self.session, use_yes_price=asked)
            case marks.ConnectionOpen() | marks.ConnectionClose():
                self._sequence, self._book_sids = SeqCounter(), set()
                self.fold.forget()
            case marks.MarketOpened():
                return [self._clock_status(record, mark.ticker, Status.OPEN, mark.at_ns)]
            case marks.MarketClosed():
                return [self._clock_status(record, mark.ticker, Status.CLOSED, mark.at_ns)]
            case marks.GapOpen():
                return [self._gap_opened(record, mark)]
            case marks.GapClose():
                return self._gap_closed(mark)
        return []

    def _clock_status(self, record: Record, ticker: str, status: Status, at_ns: int) -> MarketStatus:
        origin = Origin(self.session, record.n, 0, record.received_ns, 0)
        return MarketStatus(ticker=ticker, status=status, venue_ns=at_ns, origin=origin, by_clock=True)

    def _gap_opened(self, record: Record, mark: marks.GapOpen) -> GapNotice:
        notice = gap_notice(self.session, record.n, mark)
        self._open_gaps[record.n] = notice
        return notice

    def _gap_closed(self, mark: marks.GapClose) -> list[Event]:
        notice = self._open_gaps.pop(mark.gap, None)
        return [] if notice is None else [msgspec.structs.replace(notice, to_ns=mark.to_ns)]


def gap_notice(session: str, n: int, mark: marks.GapOpen) -> GapNotice:
    """The event of a gap mark that stands at `n`."""
    unpublished = (mark.unpublished_from, mark.unpublished_to)
    return GapNotice(
        cause=mark.cause,
        session=session,
        number=n,
        connection=mark.connection,
        from_ns=mark.from_ns,
        to_ns=None,
        sid=mark.sid,
        tickers=tuple(mark.tickers),
        is_planned=mark.planned,
        unpublished=unpublished if unpublished[1] else None,
        note=str(mark.detail.get("note", "")),
        after_n=mark.after_n,
        is_healable=mark.healable,
        fault=mark.fault,
    )

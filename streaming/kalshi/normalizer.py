"""A session's records to events: mapper and fold together, in order of n. Pure: the same records, the same events."""

from typing import Any

import msgspec

from streaming import marks
from streaming.events import Event, GapNotice, MarketEvent, MarketStatus, Origin, Status
from streaming.fold import Fold
from streaming.issues import Issue, IssueKind
from streaming.kalshi import wires
from streaming.kalshi.mapper import Mapper, Unmappable
from streaming.kalshi.messages import (
    OF_BOOKS,
    Frame,
    decode_envelope,
    decode_frame,
    decode_heading,
    is_known,
    type_of,
)
from streaming.kalshi.normalizer_state import Connection, NormalizerState
from streaming.kalshi.sequence import Odd
from streaming.kalshi.shards import ALL, parse_shard
from streaming.kalshi.tolerant import read_frame
from streaming.records import Kind, Record

_MARK = int(Kind.MARK)  # looking up a member is slow
_ISSUES = {Odd.REPEATED: IssueKind.DUPLICATE, Odd.LATE: IssueKind.OUT_OF_ORDER}
NO_ISSUES: tuple[Issue, ...] = ()


class Normalizer:
    """Reads one session from its first record on, or from a `state` on.

    `mapper` is the id that the feed version in force names (`parser_config.mapper`); without it, the wire follows
    from each record's day. After `apply`, `issues` holds what was wrong with that record.
    """

    def __init__(self, session: str, *, mapper: str | None = None) -> None:
        self.session = session
        self.fold = Fold()
        self.issues: tuple[Issue, ...] = NO_ISSUES
        self.mappers: list[str] = []  # ids of those that read something, in order
        self.unmappable = 0
        self.problem = ""  # why the last unmappable frame was one
        self.frame_type = ""  # of the last frame, as the venue calls it; empty where it could not be read
        self._named = None if mapper is None else wires.wire_named(mapper)
        self._mapper: Mapper | None = None
        self._mapper_until_ns = 0
        self._subscribe: dict[str, Any] = {}
        self._shard = ALL
        self._connections: dict[int, Connection] = {}
        self._open_gaps: dict[int, GapNotice] = {}

    def apply(self, record: Record) -> list[Event]:
        """The record's events; frames that hold none, and frames that cannot be read, give an empty list."""
        if self.issues:
            self.issues = NO_ISSUES
        if record.kind == _MARK:
            return self._of_mark(record)
        try:
            frame = decode_frame(record.payload)
        except msgspec.DecodeError:
            return self._apply_rare(record)
        self.frame_type = type_of(frame)
        return self._apply_frame(record, frame)

    def pass_over(self, connection: int, sid: int | None, seq: int | None, *, is_of_book: bool) -> None:
        """Count a frame that somebody else reads: what is missing before it is missing for this reader, too."""
        if self.issues:
            self.issues = NO_ISSUES
        self._count(connection, sid, seq, is_of_book=is_of_book)

    def state(self) -> bytes:
        """What `resumed` goes on from, behind the last record."""
        state = NormalizerState(
            session=self.session,
            subscribe=self._subscribe,
            connections={number: one.state() for number, one in self._connections.items()},
            open_gaps=list(self._open_gaps.values()),
            markets=self.fold.state(),
            shard=str(self._shard),
        )
        return msgspec.msgpack.encode(state)

    @classmethod
    def resumed(cls, state: bytes, *, mapper: str | None = None) -> "Normalizer":
        """A normalizer for the records that follow."""
        found = msgspec.msgpack.decode(state, type=NormalizerState)
        normalizer = cls(found.session, mapper=mapper)
        normalizer.fold = Fold(found.markets)
        normalizer._subscribe, normalizer._shard = found.subscribe, parse_shard(found.shard)
        normalizer._connections = {
            number: Connection.taken_up(one) for number, one in found.connections.items()
        }
        normalizer._open_gaps = {notice.number: notice for notice in found.open_gaps}
        return normalizer

    # -- frames -----------------------------------------------------------------------------------

    def _apply_rare(self, record: Record) -> list[Event]:
        """A frame of a seldom type, or one that is not in every field as expected."""
        self.frame_type = ""
        try:
            envelope = decode_envelope(record.payload)
        except msgspec.DecodeError as error:
            return self._cannot_be_read(record, error)
        self.frame_type = envelope.type
        try:
            read = read_frame(envelope)
        except Unmappable as error:
            is_of_book = envelope.type in OF_BOOKS
            self._count(record.connection, envelope.sid, envelope.seq, is_of_book=is_of_book)
            return self._cannot_be_read(record, error, ticker=error.ticker)
        if read is None:
            if not is_known(envelope.type):
                unknown = f"unknown type {envelope.type[:100]}"
                self._note(record, IssueKind.WIRE_DRIFT, unknown, _market_of(record) or "")
            self._count(record.connection, envelope.sid, envelope.seq, is_of_book=False)
            return []
        frame, left_out = read
        for field in left_out:
            self._note(record, IssueKind.PARSE_ERROR, field, frame.msg.market_ticker)
        if envelope.sending_ts_ms is None and b'"sending_ts_ms"' in record.payload:
            self._note(record, IssueKind.PARSE_ERROR, "sending_ts_ms", frame.msg.market_ticker)
        return self._apply_frame(record, frame)

    def _apply_frame(self, record: Record, frame: Frame) -> list[Event]:
        is_of_book = self.frame_type in OF_BOOKS
        odd = self._count(record.connection, frame.sid, frame.seq, is_of_book=is_of_book)
        if odd is not None:
            number = f"sid {frame.sid} seq {frame.seq}"
            self._note(record, _ISSUES[odd], number, frame.msg.market_ticker)
            if is_of_book or odd is Odd.REPEATED:  # a book is past it, and was lost in between
                return []
        mapper = self._mapper_at(record.received_ns)
        try:
            event = mapper.map(record, frame)
        except Unmappable as error:
            mapper.noted.clear()  # what was odd besides is not the next frame's
            return self._cannot_be_read(record, error, ticker=frame.msg.market_ticker)
        if type(event) is MarketStatus:
            if not self._shard.owns(event.ticker):
                mapper.noted.clear()
                return []  # another connector tells of it
            if event.status is Status.SETTLED:
                self.fold.drop(event.ticker)
        events: list[MarketEvent] = self.fold.apply(event)
        if mapper.noted or self.fold.noted:
            self._take_notes(record, event.ticker)
        return events  # type: ignore[return-value]  # nobody writes into it

    def _count(self, connection: int, sid: int | None, seq: int | None, *, is_of_book: bool) -> Odd | None:
        """Count a frame; what is odd about its number. After a loss no book of the subscription is known."""
        one = self._connections.get(connection)
        if one is None:
            one = self._connections[connection] = Connection()
        if is_of_book and sid is not None:
            one.book_sids.add(sid)
        counted = one.sequence.take(sid, seq)
        if counted is None or isinstance(counted, Odd):
            return counted
        if sid in one.book_sids:
            self.fold.forget_connection(connection)
        return None

    def _mapper_at(self, at_ns: int) -> Mapper:
        if self._mapper is None or at_ns >= self._mapper_until_ns:
            self._mapper = self._take_mapper(at_ns)
        return self._mapper

    def _take_mapper(self, at_ns: int) -> Mapper:
        wire, self._mapper_until_ns = wires.wire_at(at_ns)
        wire = self._named or wire
        if wire.mapper not in self.mappers:
            self.mappers.append(wire.mapper)
        asked = bool(self._subscribe.get("use_yes_price", False))
        return Mapper(session=self.session, use_yes_price=asked, wire=wire)

    # -- what is wrong ------------------------------------------------------------------------------

    def _cannot_be_read(self, record: Record, error: Exception, *, ticker: str | None = None) -> list[Event]:
        self.unmappable += 1
        self.problem = f"{self.frame_type}: {error}"[:300] if self.frame_type else str(error)[:300]
        kind = error.kind if isinstance(error, Unmappable) else IssueKind.PARSE_ERROR
        ticker = _market_of(record) if ticker is None else ticker
        self._note(record, kind, self.problem, ticker or "", is_lost=True)
        if self.frame_type in OF_BOOKS:  # a book without this change would be a wrong one
            if ticker is None:
                self.fold.forget_connection(record.connection)
            else:
                self.fold.forget([ticker])
        return []

    def _note(
        self, record: Record, kind: IssueKind, sample: str, ticker: str = "", *, is_lost: bool = False
    ) -> None:
        self.issues = (*self.issues, Issue(kind, record.n, sample[:300], ticker, is_lost))

    def _take_notes(self, record: Record, ticker: str) -> None:
        assert self._mapper is not None
        for noted in (self._mapper.noted, self.fold.noted):
            for kind, sample in noted:
                self._note(record, kind, sample, ticker)
            noted.clear()

    # -- marks --------------------------------------------------------------------------------------

    def _of_mark(self, record: Record) -> list[Event]:
        try:
            return self._mark(record, marks.decode(record.payload))
        except (msgspec.DecodeError, ValueError):  # of a later version of this program
            self._note(record, IssueKind.WIRE_DRIFT, "a mark that this version does not know")
            return []

    def _mark(self, record: Record, mark: marks.Mark) -> list[Event]:
        match mark:
            case marks.SessionStart():
                self._subscribe, self._mapper, self._shard = mark.subscribe, None, parse_shard(mark.shard)
            case marks.ConnectionOpen():
                for number, one in list(self._connections.items()):
                    if one.line == mark.line:  # its end was not recorded
                        self._connection_over(number)
                self._connections[mark.connection] = Connection(mark.line)
            case marks.ConnectionClose():
                self._connection_over(mark.connection)
            case marks.MarketOpened():
                return [self._clock_status(record, mark.ticker, Status.OPEN, mark.at_ns)]
            case marks.MarketClosed():
                return [self._clock_status(record, mark.ticker, Status.CLOSED, mark.at_ns)]
            case marks.RestTrades():
                return self._rest_trades(record, mark)
            case marks.WireDrift():
                self._note(record, IssueKind.WIRE_DRIFT, f"{mark.problem}, first in record {mark.n}")
            case marks.ClockStep():
                self._note(record, IssueKind.CLOCK_STEP, f"by {mark.step_ns} ns")
            case marks.GapOpen():
                return [self._gap_opened(record, mark)]
            case marks.GapClose():
                return self._gap_closed(mark)
        return []

    def _rest_trades(self, record: Record, mark: marks.RestTrades) -> list[Event]:
        events: list[Event] = []
        mapper = self._mapper_at(record.received_ns)
        for k, row in enumerate(mark.trades):
            try:
                events.append(mapper.rest_trade(record, k, row))
            except Unmappable as error:
                self.unmappable += 1
                self._note(record, error.kind, f"a trade of REST: {error}", is_lost=True)
        return events

    def _connection_over(self, connection: int) -> None:
        """Its numbers mean nothing any more; nobody tells how its books go on."""
        self._connections.pop(connection, None)
        self.fold.forget_connection(connection)

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


def _market_of(record: Record) -> str | None:
    heading = decode_heading(record.payload)
    return None if heading is None else heading.msg.market_ticker


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
        channel=mark.channel or ",".join(mark.channels),
    )

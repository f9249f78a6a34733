"""Events that the publisher makes itself, and what every event is called on the bus. Pure."""

from collections.abc import Sequence

import msgspec

from streaming.events import BookSnapshot, Event, GapNotice, MarketEvent, Origin
from streaming.fold import Fold
from streaming.records import Record


def identity_of(event: Event) -> str:
    """Its Nats-Msg-Id; a gap's two events differ in their last letter.

    A gap's is no frame's: after a power cut a crash mark may take the n of a frame that was published and is lost, and
    the server would drop the notice as a repetition.
    """
    if isinstance(event, GapNotice):
        return f"{event.session}.{event.number}.{'closed' if event.to_ns else 'opened'}"
    return event.origin.identity


def oversize_notices(event: MarketEvent) -> list[GapNotice]:
    """One event was left out: begun and over at once, so that nothing stays open."""
    at = event.origin
    begun = GapNotice(
        cause="oversize_event",
        session=at.session,
        number=at.n,
        connection=at.connection,
        from_ns=at.received_ns,
        to_ns=None,
        sid=at.sid,
        tickers=(event.ticker,),
        note="an event was larger than the bus takes; raw has its frame",
    )
    return [begun, msgspec.structs.replace(begun, to_ns=at.received_ns)]


def with_books(events: Sequence[Event], fold: Fold, record: Record, *, session: str) -> Sequence[Event]:
    """A mark's events; where it ends a hole of the bus, every known book goes before: whole, as of this record."""
    if not any(_ends_hole(event) for event in events):
        return events
    return [*_checkpoints(fold, Origin(session, record.n, 0, record.received_ns, 0)), *events]


def _ends_hole(event: Event) -> bool:
    return isinstance(event, GapNotice) and event.cause == "stream_hole" and event.to_ns is not None


def _checkpoints(fold: Fold, at: Origin) -> list[Event]:
    books = [(ticker, book) for ticker in fold.tickers if (book := fold.book(ticker)) and book.is_known]
    return [
        BookSnapshot(ticker, book.bids, book.asks, None, msgspec.structs.replace(at, k=k), is_checkpoint=True)
        for k, (ticker, book) in enumerate(books)
    ]

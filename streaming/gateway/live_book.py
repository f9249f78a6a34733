"""One market's book as the gateway follows it: exact from the last checkpoint on, or plainly not known. Pure."""

from collections.abc import Iterable

from streaming.book import OrderBook
from streaming.events import BookDelta, BookSnapshot, GapNotice, Origin
from streaming.gateway import messages
from streaming.gateway.messages import Message

BookEvent = BookSnapshot | BookDelta | GapNotice
# Losses that leave books whole.
HARMLESS_TO_BOOKS = frozenset({"missed_trade"})
LONGEST_BACKLOG = 20_000  # events that came while the past was read

NEVER_PUBLISHED = "No snapshot of this book was published yet; the first one follows when it arrives."
LOST = "Changes of this book were lost; the next snapshot follows when it arrives."


class LiveBook:
    """Takes live events with their stream sequence; while the past is being read they wait, so nothing is skipped."""

    def __init__(self, ticker: str) -> None:
        self.ticker = ticker
        self.is_loading = True
        self._book = OrderBook()
        self._waiting: list[tuple[int, BookEvent]] = []
        self._why_unknown = NEVER_PUBLISHED
        self._seq = 0
        self._origin: Origin | None = None
        self._venue_ns: int | None = None

    @property
    def is_known(self) -> bool:
        """Whether the book can be shown."""
        return self._book.is_known

    @property
    def is_backlog_full(self) -> bool:
        """Whether reading the past took so long that it must begin anew."""
        return self.is_loading and len(self._waiting) >= LONGEST_BACKLOG

    def message(self) -> Message:
        """The whole book, or that it is not known and why."""
        if not self.is_known or self._origin is None:
            return messages.book_state(self.ticker, why=self._why_unknown)
        return messages.orderbook(
            self.ticker,
            bids=self._book.bids,
            asks=self._book.asks,
            venue_ns=self._venue_ns,
            origin=self._origin,
            seq=self._seq,
        )

    def receive(self, seq: int, event: BookEvent) -> bool:
        """Take a live event; True when clients should see the book anew."""
        if self.is_loading:
            self._waiting.append((seq, event))
            return False
        if seq <= self._seq:
            return False
        return self._apply(seq, event)

    def finish_loading(self, past: Iterable[tuple[int, BookEvent]]) -> None:
        """Take the checkpoint and what followed it, then what came meanwhile."""
        for seq, event in past:
            self._apply(seq, event)
        waiting, self._waiting = self._waiting, []
        self.is_loading = False
        for seq, event in waiting:
            self.receive(seq, event)

    def _apply(self, seq: int, event: BookEvent) -> bool:
        self._seq = seq
        if not isinstance(event, GapNotice) and self._is_of_older(event.origin):
            return False
        match event:
            case BookSnapshot():
                return self._replace(event)
            case BookDelta():
                return self._change(event)
            case GapNotice():
                return self._lose(event)

    def _is_of_older(self, origin: Origin) -> bool:
        """At a hand-over two sessions speak: the newer one counts from its first whole book on."""
        return self.is_known and self._origin is not None and origin.session < self._origin.session

    def _replace(self, snapshot: BookSnapshot) -> bool:
        was = (self._book.bids, self._book.asks) if self.is_known else None
        self._book.replace(snapshot)
        self._remember(snapshot)
        # A checkpoint mostly repeats what is known.
        return was != (self._book.bids, self._book.asks)

    def _change(self, delta: BookDelta) -> bool:
        if not self.is_known:
            return False
        is_other_session = self._origin is not None and self._origin.session != delta.origin.session
        if delta.size_e2 is None or is_other_session:
            return self._forget()
        self._book.set_level(delta.side, delta.price_e4, delta.size_e2)
        self._remember(delta)
        return True

    def _lose(self, notice: GapNotice) -> bool:
        # Only where it begins: the book is whole again before the loss is declared over.
        concerns_us = not notice.tickers or self.ticker in notice.tickers
        if notice.channel and "orderbook" not in notice.channel.split(","):
            return False
        if notice.to_ns is not None or notice.cause in HARMLESS_TO_BOOKS or not concerns_us:
            return False
        return self._forget()

    def _forget(self) -> bool:
        was_known = self.is_known
        self._book.forget()
        self._why_unknown = LOST
        return was_known

    def _remember(self, event: BookSnapshot | BookDelta) -> None:
        self._origin = event.origin
        self._venue_ns = event.venue_ns

"""Who wants what of the stream, and who gets what when a message comes: no sockets, no clock. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable

from streaming import subjects, wire
from streaming.events import Event, GapNotice, Trade
from streaming.gateway import messages
from streaming.gateway.live_book import BookEvent, LiveBook
from streaming.gateway.messages import Message
from streaming.gateway.outbox import Outbox
from streaming.gateway.requests import EVERY_MARKET

MOST_TICKERS_SEEN = 200_000
_BOOK_TOKENS = ("orderbook", "checkpoint")


class Fanout:
    """Sorts messages by their subject's tokens; only what somebody subscribed to is decoded, and that once.

    `on_load` is given each book whose past is to be read; `on_changed` says that `send_changed` is due: changes that
    were read in one go make one message a book.
    """

    def __init__(self, *, on_load: Callable[[LiveBook], None], on_changed: Callable[[], None]) -> None:
        self._on_load, self._on_changed = on_load, on_changed
        self.clients: set[Outbox] = set()
        self.undecodable = 0
        self._seen: set[str] = set()  # as subject tokens
        self._trades: dict[str, set[Outbox]] = {}
        self._books: dict[str, tuple[LiveBook, set[Outbox]]] = {}
        self._changed: set[str] = set()

    # --- who wants what
    def join(self, client: Outbox) -> None:
        """A client is there: it gets status and gap messages."""
        self.clients.add(client)

    def leave(self, client: Outbox) -> None:
        """A client is gone."""
        self.clients.discard(client)
        for ticker in [ticker for ticker, outboxes in self._trades.items() if client in outboxes]:
            self.unsubscribe_trades(client, ticker)
        for ticker in [ticker for ticker, (_, outboxes) in self._books.items() if client in outboxes]:
            self.unsubscribe_book(client, ticker)

    def subscribe_trades(self, client: Outbox, ticker: str) -> None:
        """Send the client this market's trades, or those of every market (`*`)."""
        self._trades.setdefault(ticker, set()).add(client)

    def unsubscribe_trades(self, client: Outbox, ticker: str) -> None:
        """No longer send them."""
        outboxes = self._trades.get(ticker, set())
        outboxes.discard(client)
        if not outboxes:
            self._trades.pop(ticker, None)

    def subscribe_book(self, client: Outbox, ticker: str) -> None:
        """Send the client this market's book, and again whenever it changes."""
        if ticker not in self._books:
            self._books[ticker] = (LiveBook(ticker), {client})
            self._on_load(self._books[ticker][0])
            return
        book, outboxes = self._books[ticker]
        if client not in outboxes:
            outboxes.add(client)
            if not book.is_loading:
                client.put_book(ticker, book.message())

    def unsubscribe_book(self, client: Outbox, ticker: str) -> None:
        """No longer send it."""
        client.forget_book(ticker)
        _, outboxes = self._books.get(ticker, (None, set()))
        outboxes.discard(client)
        if not outboxes:
            self._books.pop(ticker, None)

    def subscriptions(self) -> Counter[str]:
        """How many clients each symbol has."""
        wanted = {ticker: set(outboxes) for ticker, outboxes in self._trades.items()}
        for ticker, (_, outboxes) in self._books.items():
            wanted.setdefault(ticker, set()).update(outboxes)
        return Counter({ticker: len(outboxes) for ticker, outboxes in wanted.items()})

    def has_seen(self, ticker: str) -> bool:
        """Whether the stream brought anything of this market since the process began."""
        return subjects.escape(ticker) in self._seen

    # --- who gets what
    def receive(self, subject: str, seq: int, payload: bytes) -> None:
        """Take one message of the stream."""
        _, kind, last = subject.split(".", 2)
        if kind == "gap":
            self._receive_gap(seq, payload)
            return
        if kind == "secmaster":  # its subject names a kind of change, no market
            return
        if last not in self._seen and len(self._seen) < MOST_TICKERS_SEEN:
            self._seen.add(last)
        if kind == "trade" and self._trades:
            self._receive_trade(subjects.unescape(last), seq, payload)
        elif kind in _BOOK_TOKENS and self._books:
            self._receive_book(kind, subjects.unescape(last), seq, payload)

    def _receive_trade(self, ticker: str, seq: int, payload: bytes) -> None:
        outboxes = self._trades.get(ticker, set()) | self._trades.get(EVERY_MARKET, set())
        if not outboxes:
            return
        event = self.decode("trade", payload)
        if isinstance(event, Trade):
            _put(messages.trade(event, seq=seq), outboxes)

    def _receive_book(self, kind: str, ticker: str, seq: int, payload: bytes) -> None:
        if ticker not in self._books:
            return
        event = self.decode(kind, payload)
        if event is not None:
            self._change_book(ticker, seq, event)  # type: ignore[arg-type]  # these two tokens carry no other
        if self._books[ticker][0].is_backlog_full:
            self.reload(ticker)

    def _receive_gap(self, seq: int, payload: bytes) -> None:
        notice = self.decode("gap", payload)
        if not isinstance(notice, GapNotice):
            return
        for ticker in self._books:
            self._change_book(ticker, seq, notice)
        _put(messages.gap(notice, seq=seq), self._concerned(notice.tickers))

    def _concerned(self, tickers: Iterable[str]) -> set[Outbox]:
        if not tickers:
            return self.clients
        concerned = set(self._trades.get(EVERY_MARKET, set()))
        for ticker in tickers:
            concerned |= self._trades.get(ticker, set())
            concerned |= self._books[ticker][1] if ticker in self._books else set()
        return concerned

    def _change_book(self, ticker: str, seq: int, event: BookEvent) -> None:
        if not self._books[ticker][0].receive(seq, event):
            return
        if not self._changed:
            self._on_changed()
        self._changed.add(ticker)

    def send_changed(self) -> None:
        """Write each changed book once."""
        changed, self._changed = self._changed, set()
        for ticker in changed:
            self._send_book(ticker)

    def _send_book(self, ticker: str) -> None:
        if ticker not in self._books:
            return
        book, outboxes = self._books[ticker]
        if book.is_loading:
            return
        message = book.message()
        for outbox in outboxes:
            outbox.put_book(ticker, message)

    def tell_all(self, message: Message) -> None:
        """Put a message into every client's outbox."""
        _put(message, self.clients)

    def decode(self, token: str, payload: bytes) -> Event | None:
        """The event; None, counted, for bytes that are not what their subject says."""
        try:
            return wire.decode(token, payload)
        except (wire.WireError, KeyError):
            self.undecodable += 1
            return None

    # --- books' past
    def is_followed(self, book: LiveBook) -> bool:
        """Whether somebody still waits for just this book."""
        return self._books.get(book.ticker, (None, None))[0] is book

    def loaded(self, book: LiveBook, past: Iterable[tuple[int, BookEvent]]) -> None:
        """Its past was read: from here on it follows live."""
        if self.is_followed(book):
            book.finish_loading(past)
            self._send_book(book.ticker)

    def reload(self, ticker: str) -> None:
        """Begin this book anew: something of it was missed, or reading its past took too long."""
        _, outboxes = self._books[ticker]
        self._books[ticker] = (LiveBook(ticker), outboxes)
        self._on_load(self._books[ticker][0])

    def reload_all(self) -> None:
        """Begin every book anew."""
        for ticker in self._books:
            self.reload(ticker)


def _put(message: Message, outboxes: Iterable[Outbox]) -> None:
    for outbox in outboxes:
        outbox.put(message)

"""What waits to be sent to one client: bounded, books conflated, trades never dropped silently. Pure."""

from collections import Counter, deque
from collections.abc import Callable

from streaming.gateway.messages import Message

MOST_MESSAGES = 10_000
MOST_BYTES = 1 << 20


class Outbox:
    """Messages in order; a book that still waits is replaced by its newer state, in its place in the queue.

    Books take one place per market. Of everything else at most 10,000 messages or 1 MiB of text may wait: one more,
    and the client reads too slowly. Then nothing is kept, and `unsent` counts what it did not get, by type.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        *,
        most_messages: int = MOST_MESSAGES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._wake = wake
        self._queue: deque[Message | str] = deque()  # a text stands for the newest book of that ticker
        self._books: dict[str, Message] = {}
        self._messages = self._bytes = 0
        self._most_messages, self._most_bytes = most_messages, most_bytes
        self.conflated = 0
        self.unsent: Counter[str] = Counter()

    @property
    def has_overflowed(self) -> bool:
        """Whether the client read too slowly: it is to be told `unsent`, and closed."""
        return bool(self.unsent)

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, message: Message) -> None:
        """Queue a message that may not be lost."""
        if self.has_overflowed:
            self.unsent[message.kind] += 1
            return
        self._messages += 1
        self._bytes += len(message.text)
        self._queue.append(message)
        if self._messages > self._most_messages or self._bytes > self._most_bytes:
            self._overflow()
        self._wake()

    def put_book(self, ticker: str, message: Message) -> None:
        """Queue a market's book; only its newest state is kept."""
        if self.has_overflowed:
            return
        if ticker in self._books:
            self.conflated += 1
        else:
            self._queue.append(ticker)
        self._books[ticker] = message
        self._wake()

    def forget_book(self, ticker: str) -> None:
        """The client no longer wants this book: what waits of it is not sent."""
        if self._books.pop(ticker, None) is not None:
            self._queue.remove(ticker)

    def take(self) -> Message | None:
        """The next message to send, None when there is none."""
        if not self._queue:
            return None
        first = self._queue.popleft()
        if isinstance(first, str):
            return self._books.pop(first)
        self._messages -= 1
        self._bytes -= len(first.text)
        return first

    def _overflow(self) -> None:
        self.unsent.update(entry.kind for entry in self._queue if isinstance(entry, Message))
        self._queue.clear()
        self._books.clear()

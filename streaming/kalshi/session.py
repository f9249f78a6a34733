"""The Kalshi WebSocket conversation on one connection, without the socket."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from streaming.kalshi import commands, messages
from streaming.kalshi.sequence import SeqCounter, Skipped

BOOKS = "orderbook_delta"
FIREHOSES = ("market_lifecycle_v2", "ticker", "trade")  # for all markets
CHUNK = 100  # markets a command; larger ones have been seen to go unanswered
ANSWER_WITHIN_NS = 10 * 1_000_000_000
SNAPSHOT_WITHIN_NS = 5 * 1_000_000_000
TRIES = 3


class ProtocolError(Exception):
    """The conversation cannot go on: drop the connection and open another."""


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Frames of a subscription never came; None tickers: every market."""

    skipped: Skipped
    tickers: tuple[str, ...] | None
    after_n: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class BooksHealed:
    """Every book of the subscription has its snapshot again."""

    sid: int


@dataclass(frozen=True, slots=True)
class BooksMissing:
    """These markets were asked for and no snapshot came."""

    tickers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """Every channel is acknowledged and every asked book has its snapshot."""

    tickers: int


@dataclass(frozen=True, slots=True)
class MarketNews:
    """A lifecycle frame."""

    message: messages.Lifecycle


Finding = SequenceGap | BooksHealed | BooksMissing | Ready | MarketNews


@dataclass(slots=True)
class _Sent:
    """A command that waits for its answer."""

    action: str
    channel: str
    tickers: tuple[str, ...]
    sent_ns: int
    tries: int = 1


@dataclass
class KalshiSession:
    """Give it every frame of the connection in order; take findings, and commands to send."""

    use_yes_price: bool = False
    firehoses: tuple[str, ...] = FIREHOSES
    frame_type: str = ""  # of the last frame, as the venue calls it; empty where it could not be read
    sent_ms: int | None = None  # when the venue queued the last frame
    _outbox: list[bytes] = field(default_factory=list)
    _waiting: dict[int, _Sent] = field(default_factory=dict)
    _last_id: int = 0
    _channels: dict[int, str] = field(default_factory=dict)
    _sequence: SeqCounter = field(default_factory=SeqCounter)
    _last_seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    _wanted: set[str] | None = None  # None: not known yet
    _asked: set[str] = field(default_factory=set)
    _books_due: dict[str, tuple[int, int]] = field(default_factory=dict)
    _healing: bool = False
    _is_ready: bool = False

    def start(self, *, now_ns: int) -> None:
        """Subscribe to what is sent for all markets."""
        for channel in self.firehoses:
            self._send("subscribe", channel, (), now_ns)

    def want(self, tickers: Collection[str], *, now_ns: int) -> None:
        """From now on these books, no others."""
        self._wanted = set(tickers)
        self._pursue(now_ns)

    def commands_to_send(self) -> list[bytes]:
        """What has to go out, in order; each is given once."""
        out, self._outbox = self._outbox, []
        return out

    def receive(self, frame: bytes, *, n: int, received_ns: int) -> list[Finding]:
        """Advance the conversation by one frame; raises ProtocolError."""
        try:
            envelope = messages.decode_envelope(frame)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.frame_type, self.sent_ms = "", None
            return []  # kept in the log and counted by the normalizer; the connection stays
        self.frame_type, self.sent_ms = envelope.type, envelope.sending_ts_ms
        findings = self._check(envelope, received_ns)
        if envelope.sid is not None:
            self._last_seen[envelope.sid] = (n, received_ns)
        with suppress(msgspec.DecodeError):  # a field is not as it should be: likewise
            findings += self._interpret(envelope, received_ns)
        return findings + self._readiness()

    def on_time(self, now_ns: int) -> list[Finding]:
        """Repeat what was not answered; raises ProtocolError when repeating did not help."""
        for command_id, sent in list(self._waiting.items()):
            if now_ns - sent.sent_ns > ANSWER_WITHIN_NS:
                self._repeat(command_id, sent, now_ns)
        return self._overdue_books(now_ns)

    @property
    def is_wanting(self) -> bool:
        """Whether `want` was called."""
        return self._wanted is not None

    @property
    def books_sid(self) -> int | None:
        """The order-book subscription's sid, once acknowledged."""
        return next((sid for sid, channel in self._channels.items() if channel == BOOKS), None)

    # -- frames -----------------------------------------------------------------------------------

    def _check(self, envelope: messages.Envelope, now_ns: int) -> list[Finding]:
        skipped = self._sequence.check(envelope.sid, envelope.seq)
        if skipped is None:
            return []
        after_n, after_ns = self._last_seen.get(skipped.sid, (0, 0))
        if self._channels.get(skipped.sid) != BOOKS:
            return [SequenceGap(skipped, None, after_n, after_ns)]

        # What was lost is never sent again: ask for every book of the subscription anew.
        lost = tuple(sorted(self._asked))
        self._healing = True
        self._books_due.update(dict.fromkeys(lost, (now_ns, 0)))
        self._ask_snapshots(lost)
        return [SequenceGap(skipped, lost, after_n, after_ns)]

    def _interpret(self, envelope: messages.Envelope, now_ns: int) -> list[Finding]:
        match envelope.type:
            case "orderbook_snapshot":
                return self._snapshot(msgspec.json.decode(envelope.msg, type=messages.Snapshot))
            case "market_lifecycle_v2":
                return [MarketNews(msgspec.json.decode(envelope.msg, type=messages.Lifecycle))]
            case "subscribed":
                self._subscribed(
                    envelope, msgspec.json.decode(envelope.msg, type=messages.Subscribed), now_ns
                )
            case "ok":
                self._answered(envelope, now_ns)
            case "error":
                self._refused(envelope, msgspec.json.decode(envelope.msg, type=messages.ErrorMessage))
        return []

    def _snapshot(self, message: messages.Snapshot) -> list[Finding]:
        self._books_due.pop(message.market_ticker, None)
        return self._healed()

    def _healed(self) -> list[Finding]:
        if self._books_due or not self._healing:
            return []
        self._healing = False
        return [BooksHealed(self.books_sid or 0)]

    def _subscribed(self, envelope: messages.Envelope, message: messages.Subscribed, now_ns: int) -> None:
        self._channels[message.sid] = message.channel
        self._answered(envelope, now_ns)

    def _answered(self, envelope: messages.Envelope, now_ns: int) -> None:
        sent = self._waiting.pop(envelope.id or 0, None)
        if sent is None:
            return
        if envelope.sid is not None:  # a repeated `subscribe` is answered by `ok`, which alone names the sid
            self._channels.setdefault(envelope.sid, sent.channel)
        if sent.channel == BOOKS:
            self._pursue(now_ns)

    def _refused(self, envelope: messages.Envelope, message: messages.ErrorMessage) -> None:
        if message.code in (10, 25):  # the subscription is gone; its books with it
            raise ProtocolError(f"the venue ended subscription {envelope.sid}: {message.code} {message.msg}")
        if envelope.id in self._waiting:
            sent = self._waiting[envelope.id]
            raise ProtocolError(f"{sent.action} {sent.channel} was refused: {message.code} {message.msg}")

    def _readiness(self) -> list[Finding]:
        if self._is_ready or self._waiting or self._books_due or self._wanted != self._asked:
            return []
        self._is_ready = True
        return [Ready(len(self._asked))]

    # -- commands ---------------------------------------------------------------------------------

    def _send(
        self, action: str, channel: str, tickers: tuple[str, ...], now_ns: int, *, tries: int = 1
    ) -> None:
        self._last_id += 1
        self._waiting[self._last_id] = _Sent(action, channel, tickers, now_ns, tries)
        if action == "subscribe":
            priced = self.use_yes_price if channel == BOOKS else None
            self._outbox.append(
                commands.subscribe(self._last_id, channel, tickers=tickers, use_yes_price=priced)
            )
        else:
            self._outbox.append(commands.update(self._last_id, self.books_sid or 0, action, tickers))

    def _pursue(self, now_ns: int) -> None:
        """Bring the subscription nearer to what is wanted, one command at a time."""
        if self._wanted is None or any(sent.channel == BOOKS for sent in self._waiting.values()):
            return
        if missing := sorted(self._wanted - self._asked)[:CHUNK]:
            self._asked.update(missing)
            self._books_due.update(dict.fromkeys(missing, (now_ns, 0)))
            action = "subscribe" if self.books_sid is None else "add_markets"
            self._send(action, BOOKS, tuple(missing), now_ns)
        elif surplus := sorted(self._asked - self._wanted)[:CHUNK]:
            self._asked.difference_update(surplus)
            for ticker in surplus:
                self._books_due.pop(ticker, None)
            self._send("delete_markets", BOOKS, tuple(surplus), now_ns)

    def _repeat(self, command_id: int, sent: _Sent, now_ns: int) -> None:
        if sent.tries >= TRIES:
            raise ProtocolError(f"{sent.action} {sent.channel} was not answered {TRIES} times")
        del self._waiting[command_id]
        self._send(sent.action, sent.channel, sent.tickers, now_ns, tries=sent.tries + 1)

    def _overdue_books(self, now_ns: int) -> list[Finding]:
        late = [
            ticker for ticker, (asked, _) in self._books_due.items() if now_ns - asked > SNAPSHOT_WITHIN_NS
        ]
        if not late or self.books_sid is None:
            return []
        hopeless = tuple(ticker for ticker in late if self._books_due[ticker][1] >= TRIES)
        for ticker in hopeless:
            del self._books_due[ticker]
        for ticker in set(late) - set(hopeless):
            self._books_due[ticker] = (now_ns, self._books_due[ticker][1] + 1)
        self._ask_snapshots(sorted(set(late) - set(hopeless)))
        missing: list[Finding] = [BooksMissing(hopeless)] if hopeless else []
        return missing + self._healed() + self._readiness()

    def _ask_snapshots(self, tickers: Sequence[str]) -> None:
        """`get_snapshot` is answered by the snapshots themselves, not by `ok`."""
        for start in range(0, len(tickers), CHUNK):
            self._last_id += 1
            chunk = tickers[start : start + CHUNK]
            self._outbox.append(commands.update(self._last_id, self.books_sid or 0, "get_snapshot", chunk))

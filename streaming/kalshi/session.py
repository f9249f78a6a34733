"""The Kalshi WebSocket conversation on one connection, without the socket."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from streaming.kalshi import messages, roll_call
from streaming.kalshi.audit import BookAudit
from streaming.kalshi.books_due import BooksDue
from streaming.kalshi.findings import (
    BookFound,
    BooksHealed,
    BooksMissing,
    Finding,
    MarketNews,
    Ready,
    SequenceGap,
)
from streaming.kalshi.pending import ROLL_CALL, TRIES, Pending, Sent
from streaming.kalshi.protocol_error import ProtocolError
from streaming.kalshi.sequence import Odd, SeqCounter, Skipped

BOOKS = "orderbook_delta"
FIREHOSES = ("market_lifecycle_v2", "ticker", "trade")  # for all markets
CHUNK = 100  # markets a command; larger ones have been seen to go unanswered
ROLL_CALL_EVERY_NS = 60 * 1_000_000_000
OVERFLOW = 25  # it could not send as fast as it should
ENDED = (10, OVERFLOW)  # error codes after which a subscription is dead
LATER = (18, 27)  # its time-out and its rate limit: the same command may be taken later


@dataclass
class KalshiSession:
    """Give it every frame of the connection in order; take findings, and commands to send."""

    use_yes_price: bool = False
    firehoses: tuple[str, ...] = FIREHOSES
    frame_type: str = ""  # of the last frame, as the venue calls it; empty where it could not be read
    sent_ms: int | None = None  # when the venue queued the last frame
    _pending: Pending = field(default_factory=Pending)
    _roll_called_ns: int = 0
    _received_ns: int = 0  # of the last frame
    _audit: BookAudit = field(default_factory=BookAudit)
    _channels: dict[int, str] = field(default_factory=dict)
    _sequence: SeqCounter = field(default_factory=SeqCounter)
    _last_seen: dict[int, tuple[int, int]] = field(default_factory=dict)
    _wanted: set[str] | None = None  # None: not known yet
    _asked: set[str] = field(default_factory=set)
    _books_due: BooksDue = field(default_factory=BooksDue)
    _refused_parts: list[tuple[str, ...]] = field(default_factory=list)
    _missing: set[str] = field(default_factory=set)
    _findings: list[Finding] = field(default_factory=list)  # that follow from no frame
    _healing: bool = False
    _is_complete: bool = False
    _is_ready: bool = False

    def start(self, *, now_ns: int) -> None:
        """Subscribe to what is sent for all markets."""
        self._pending.use_yes_price, self._roll_called_ns = self.use_yes_price, now_ns
        for channel in self.firehoses:
            self._send("subscribe", channel, (), now_ns)

    def want(self, tickers: Collection[str], *, now_ns: int, is_complete: bool = True) -> None:
        """From now on these books, no others; not complete while the venue has not listed its markets."""
        self._wanted = set(tickers)
        self._is_complete = self._is_complete or is_complete
        self._pursue(now_ns)

    def commands_to_send(self) -> list[bytes]:
        """What has to go out, in order; each is given once."""
        return self._pending.drain()

    def receive(self, frame: bytes, *, n: int, received_ns: int, now_ns: int | None = None) -> list[Finding]:
        """Advance the conversation by one frame, at `now_ns` of the clock that `on_time` is given; raises ProtocolError."""
        now_ns, self._received_ns = received_ns if now_ns is None else now_ns, received_ns
        try:
            envelope = messages.decode_envelope(frame)
        except msgspec.DecodeError:
            self.frame_type, self.sent_ms = "", None
            return []  # kept in the log and counted by the normalizer; the connection stays
        self.frame_type, self.sent_ms = envelope.type, envelope.sending_ts_ms
        counted = self._sequence.take(envelope.sid, envelope.seq)
        if counted is Odd.REPEATED or (counted is Odd.LATE and envelope.type in messages.OF_BOOKS):
            return []  # what it says is from before what we know
        findings = self._drained() + (
            self._lost(counted, envelope, now_ns) if isinstance(counted, Skipped) else []
        )
        if envelope.sid is not None and counted is not Odd.LATE:
            self._last_seen[envelope.sid] = (n, received_ns)
        with suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):  # a spoiled field: likewise
            findings += self._interpret(envelope, now_ns)
        return findings + self._readiness()

    def on_time(self, now_ns: int) -> list[Finding]:
        """Repeat what was not answered; raises ProtocolError when repeating did not help."""
        if dead := self._pending.repeat_overdue(now_ns, sid=self.books_sid or 0):
            raise ProtocolError(f"{dead.action} {dead.channel} was not answered {TRIES} times")
        self._call_roll(now_ns)
        self._audit_books(now_ns)
        return self._drained() + self._overdue_books(now_ns) + self._readiness()

    @property
    def books_sid(self) -> int | None:
        """The order-book subscription's sid, once acknowledged."""
        return next((sid for sid, channel in self._channels.items() if channel == BOOKS), None)

    def last_of(self, channel: str) -> tuple[int, int, int]:
        """A channel's sid, and n and receive time of its last frame (0 and when it was opened where none came)."""
        sid = next((sid for sid, name in self._channels.items() if name == channel), 0)
        return sid, *self._last_seen.get(sid, (0, 0))

    # -- frames -----------------------------------------------------------------------------------

    def _drained(self) -> list[Finding]:
        found, self._findings = self._findings, []
        return found

    def _lost(self, skipped: Skipped, envelope: messages.Envelope, now_ns: int) -> list[Finding]:
        after_n, after_ns = self._last_seen.get(skipped.sid, (0, 0))
        if envelope.type in messages.OF_BOOKS:  # its acknowledgement may be what was lost
            self._channels.setdefault(skipped.sid, BOOKS)
        channel = self._channels.get(skipped.sid, "")
        if channel != BOOKS:
            return [SequenceGap(skipped, channel, None, after_n, after_ns)]

        # What was lost is never sent again: ask for every book of the subscription anew.
        lost = tuple(sorted(self._asked - self._missing))
        self._healing = self._healing or bool(lost)
        self._books_due.ask(lost, now_ns)
        self._ask_snapshots(lost)
        return [SequenceGap(skipped, channel, lost, after_n, after_ns)]

    def _interpret(self, envelope: messages.Envelope, now_ns: int) -> list[Finding]:
        match envelope.type:
            case "orderbook_snapshot":
                if envelope.sid is not None:
                    self._channels.setdefault(envelope.sid, BOOKS)
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
                return self._refused(
                    envelope, msgspec.json.decode(envelope.msg, type=messages.ErrorMessage), now_ns
                )
        return []

    def _snapshot(self, message: messages.Snapshot) -> list[Finding]:
        self._books_due.drop(message.market_ticker)
        self._audit.came(message.market_ticker)
        found: list[Finding] = []
        if message.market_ticker in self._missing:
            self._missing.remove(message.market_ticker)
            found.append(BookFound(message.market_ticker))
        return found + self._healed()

    def _healed(self) -> list[Finding]:
        if self._books_due or not self._healing:
            return []
        self._healing = False
        return [BooksHealed(self.books_sid or 0)]

    def _subscribed(self, envelope: messages.Envelope, message: messages.Subscribed, now_ns: int) -> None:
        self._channels[message.sid] = message.channel
        self._last_seen.setdefault(message.sid, (0, self._received_ns))
        self._answered(envelope, now_ns)

    def _answered(self, envelope: messages.Envelope, now_ns: int) -> None:
        sent = self._pending.take(envelope.id)
        if sent is None:
            return
        if sent.action == "list_subscriptions":
            roll_call.require_channels(envelope.msg, self._channels)
        if envelope.sid is not None:  # a repeated `subscribe` is answered by `ok`, which alone names the sid
            self._channels.setdefault(envelope.sid, sent.channel)
        if sent.action == ROLL_CALL:
            self._compare_books(envelope.msg, now_ns)
        if sent.channel == BOOKS:
            self._pursue(now_ns)

    def _refused(
        self, envelope: messages.Envelope, message: messages.ErrorMessage, now_ns: int
    ) -> list[Finding]:
        if message.code in ENDED:  # the subscription is gone; its books with it
            cause = "venue_overflow" if message.code == OVERFLOW else "connection_lost"
            raise ProtocolError(f"sid {envelope.sid} was ended: {message.code} {message.msg}", cause=cause)
        sent = self._pending.get(envelope.id)
        if sent is None or message.code in LATER:
            return []  # asked again when its time is over
        if sent.channel != BOOKS:
            raise ProtocolError(f"{sent.action} {sent.channel} was refused: {message.code} {message.msg}")
        self._pending.take(envelope.id)
        return self._books_refused(sent, now_ns)

    def _books_refused(self, sent: Sent, now_ns: int) -> list[Finding]:
        """One market may be what the venue dislikes: try again in halves, until it is found out which."""
        missing: tuple[str, ...] = ()
        if sent.action not in ("delete_markets", ROLL_CALL):
            half = len(sent.tickers) // 2
            parts = (sent.tickers[:half], sent.tickers[half:])
            if half:
                self._refused_parts.extend(parts)
            else:
                missing = sent.tickers
                self._books_due.drop(missing[0])
        self._pursue(now_ns)
        return [*self._miss(missing), *self._healed()] if missing else []

    def _miss(self, tickers: Iterable[str]) -> list[Finding]:
        """These books are missing; said once of each."""
        missing = tuple(ticker for ticker in tickers if ticker not in self._missing)
        self._missing.update(missing)
        return [BooksMissing(missing)] if missing else []

    def _readiness(self) -> list[Finding]:
        if self._is_ready or not self._is_complete or self._pending or self._refused_parts:
            return []
        # One that is missing is still asked for, and has a loss of its own: the others do not wait for it.
        if not self._missing.issuperset(self._books_due) or self._wanted != self._asked:
            return []
        self._is_ready = True
        return [Ready(len(self._asked))]

    # -- commands ---------------------------------------------------------------------------------

    def _send(self, action: str, channel: str, tickers: tuple[str, ...], now_ns: int) -> None:
        self._pending.send(action, channel, tickers, now_ns, sid=self.books_sid or 0)

    def _pursue(self, now_ns: int) -> None:
        """Bring the subscription nearer to what is wanted, one command at a time."""
        if self._wanted is None or self._pending.awaits(BOOKS):
            return
        if self._refused_parts:
            self._subscribe_books(self._refused_parts.pop(0), now_ns)
        elif missing := sorted(self._wanted - self._asked)[:CHUNK]:
            self._subscribe_books(tuple(missing), now_ns)
        elif surplus := sorted(self._asked - self._wanted)[:CHUNK]:
            self._asked.difference_update(surplus)
            for ticker in surplus:
                self._books_due.drop(ticker)
            self._findings += [BookFound(ticker) for ticker in surplus if ticker in self._missing]
            self._findings += self._healed()
            self._missing.difference_update(surplus)
            if self.books_sid is not None:
                self._send("delete_markets", BOOKS, tuple(surplus), now_ns)

    def _subscribe_books(self, tickers: tuple[str, ...], now_ns: int) -> None:
        self._asked.update(tickers)
        self._books_due.ask(tickers, now_ns)
        self._send("subscribe" if self.books_sid is None else "add_markets", BOOKS, tickers, now_ns)

    def _overdue_books(self, now_ns: int) -> list[Finding]:
        if self.books_sid is None:
            return []
        late = self._books_due.late(now_ns)
        self._ask_snapshots(late.again)
        return self._miss(late.hopeless if self._is_ready else late.again + late.hopeless) + self._healed()

    def _ask_snapshots(self, tickers: Sequence[str]) -> None:
        for start in range(0, len(tickers), CHUNK):
            self._pending.ask_snapshots(tickers[start : start + CHUNK], sid=self.books_sid or 0)

    # -- what the venue says that we follow -----------------------------------------------------------

    def _call_roll(self, now_ns: int) -> None:
        """Once a minute: an answer may have been lost, or a subscription ended unheard."""
        if not self._is_ready or self._pending or now_ns - self._roll_called_ns < ROLL_CALL_EVERY_NS:
            return
        self._roll_called_ns = now_ns
        self._send("list_subscriptions", "", (), now_ns)
        if self.books_sid is not None:
            self._ask_snapshots(sorted(self._missing))  # what was given up may come after all
            if followed := self._asked - self._missing:
                self._send(ROLL_CALL, BOOKS, (min(followed),), now_ns)

    def _audit_books(self, now_ns: int) -> None:
        if not self._is_ready or self._books_due:
            return
        if ticker := self._audit.due(self._asked - self._missing, now_ns):
            self._ask_snapshots([ticker])
        self._audit.require_answers(BOOKS)

    def _compare_books(self, answer: msgspec.Raw, now_ns: int) -> None:
        """What it does not follow for us is asked for once more; what it follows in vain is taken back."""
        if (listed := roll_call.books(answer)) is None:
            return
        lost = self._asked - listed
        self._findings += self._miss(sorted(lost))
        self._asked.difference_update(lost)
        if surplus := sorted(listed - self._asked)[:CHUNK]:
            self._send("delete_markets", BOOKS, tuple(surplus), now_ns)

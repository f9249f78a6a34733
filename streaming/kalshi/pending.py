"""The commands of one conversation: what has to go out, and what waits for its answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streaming.kalshi import commands

ANSWER_WITHIN_NS = 10 * 1_000_000_000
TRIES = 3
# Asks for a market that is followed already: its answer lists all that are.
ROLL_CALL = "roll call"


@dataclass(slots=True)
class Sent:
    """A command that waits for its answer."""

    action: str
    channel: str
    tickers: tuple[str, ...]
    sent_ns: int
    tries: int = 1


@dataclass
class Pending:
    """Numbers commands, keeps them until they are answered, and finds those that were not."""

    use_yes_price: bool = False
    _outbox: list[bytes] = field(default_factory=list)
    _waiting: dict[int, Sent] = field(default_factory=dict)
    _last_id: int = 0

    def __bool__(self) -> bool:
        """Whether something waits for its answer."""
        return bool(self._waiting)

    def awaits(self, channel: str) -> bool:
        """Whether a command about this channel is not answered yet."""
        return any(sent.channel == channel for sent in self._waiting.values())

    def drain(self) -> list[bytes]:
        """What has to go out, in order; each is given once."""
        out, self._outbox = self._outbox, []
        return out

    def send(self, action: str, channel: str, tickers: tuple[str, ...], now_ns: int, *, sid: int) -> None:
        """A command that will be answered; `sid` is that of an order-book subscription."""
        self._put(Sent(action, channel, tickers, now_ns), sid)

    def ask_snapshots(self, tickers: Sequence[str], *, sid: int) -> None:
        """`get_snapshot` is answered by the snapshots themselves, not by `ok`."""
        self._last_id += 1
        self._outbox.append(commands.update(self._last_id, sid, "get_snapshot", tickers))

    def get(self, command_id: int | None) -> Sent | None:
        """The command with this id, while it waits."""
        return self._waiting.get(command_id or 0)

    def take(self, command_id: int | None) -> Sent | None:
        """The command that is answered."""
        return self._waiting.pop(command_id or 0, None)

    def repeat_overdue(self, now_ns: int, *, sid: int) -> Sent | None:
        """Send again what was not answered in time; the command that never is, if there is one."""
        for command_id, sent in list(self._waiting.items()):
            if now_ns - sent.sent_ns <= ANSWER_WITHIN_NS:
                continue
            if sent.tries >= TRIES:
                return sent
            del self._waiting[command_id]
            self._put(Sent(sent.action, sent.channel, sent.tickers, now_ns, sent.tries + 1), sid)
        return None

    def _put(self, sent: Sent, sid: int) -> None:
        self._last_id += 1
        self._waiting[self._last_id] = sent
        match sent.action:
            case "list_subscriptions":
                payload = commands.list_subscriptions(self._last_id)
            case "subscribe":
                priced = self.use_yes_price if sent.channel == "orderbook_delta" else None
                payload = commands.subscribe(
                    self._last_id, sent.channel, tickers=sent.tickers, use_yes_price=priced
                )
            case _:
                action = "add_markets" if sent.action == ROLL_CALL else sent.action
                payload = commands.update(self._last_id, sid, action, sent.tickers)
        self._outbox.append(payload)

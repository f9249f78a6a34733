"""The exchange as a whole, without sockets: clients, their frames, both sources of life; pure (clock comes in)."""

from collections.abc import Iterable

from streaming.kalshi.simulator.audience import Audience
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.protocol import Conversation
from streaming.kalshi.simulator.replay import Replay
from streaming.kalshi.simulator.rest import RATE, Answer, answer
from streaming.kalshi.simulator.venue import Venue


class Exchange:
    """One venue and everybody who talks to it."""

    def __init__(self, venue: Venue, replay: Replay | None = None) -> None:
        self.venue = venue
        self.replay = replay
        self._audience = Audience()
        # Who, in this connection, has asked for a recorded book; a fast replay waits while there is nobody.
        self._readers: set[Conversation] = set()

    @property
    def has_readers(self) -> bool:
        """Whether somebody is here for the recording."""
        return bool(self._readers)

    def connect(self) -> Conversation:
        """A client came in."""
        return Conversation(self.venue, self._audience)

    def receive(self, conversation: Conversation, message: str | bytes, *, now_us: int) -> None:
        """A client's command; the first that asks for a recorded book starts the replay."""
        conversation.receive(message, now_ms=now_us // 1000)
        replay = self.replay
        if replay is None or conversation in self._readers or not conversation.follows_books(replay.tickers):
            return
        self._readers.add(conversation)
        if not replay.has_started:
            replay.start(now_us)

    def disconnect(self, conversation: Conversation) -> None:
        """A client is gone."""
        self._readers.discard(conversation)
        conversation.end()

    def publish(self, frames: Iterable[Broadcast], *, now_us: int) -> None:
        """Put frames into the outboxes of those who asked for them."""
        now_ms = now_us // 1000
        for frame in frames:
            self._audience.publish(frame, now_ms)

    def rest(self, target: str, *, now_us: int, rate: float = RATE) -> Answer:
        """Answer one GET; `rate` is what an account is told of its tokens."""
        if self.replay:
            self.replay.refresh(now_us)
        return answer(self.venue, target, now_us=now_us, rate=rate)

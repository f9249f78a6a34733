"""Publishes into a JetStream stream and knows what was stored."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from streaming.lifetime import comes_within
from streaming.pace import ACK_WITHIN_SECONDS, Pace
from streaming.refusals import reason_of_answer

LOOK_AGAIN_SECONDS = 0.2
_HEADER_BYTES = 1024  # of a message's size: its identity; the server counts it, the library does not


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: dict[str, object] | None = None


_ack = msgspec.json.Decoder(_Ack)
_NO_STREAM: dict[str, object] = {"description": "no stream takes this subject"}


@dataclass(slots=True)
class _Message:
    subject: str
    payload: bytes
    identity: str
    n: int
    sent_at: float
    received_ns: int = 0


class OnStored(Protocol):
    """Is told of each message that is stored, and where; a repeat's ack names the place of the first one."""

    def __call__(self, seq: int, n: int, identity: str, received_ns: int, *, is_repeat: bool) -> None: ...


def _nobody(seq: int, n: int, identity: str, received_ns: int, *, is_repeat: bool) -> None:
    """Nobody wants to know."""


def _tell_nobody(reason: str, problem: str) -> None:
    """Nobody wants to know."""


async def _at_once(_: Client) -> None:
    """Nothing has to be looked at before messages are sent again."""


class Outbox:
    """Publishes many messages at once and counts only acknowledged ones; `floor` is the last n that is wholly stored.

    One inbox takes all acks: a future for each message, as the library's own publish makes it, costs twice the time.
    """

    def __init__(
        self,
        client: Client,
        *,
        on_stored: OnStored = _nobody,
        on_refused: Callable[[str, str], None] = _tell_nobody,
        before_repeating: Callable[[Client], Awaitable[None]] = _at_once,
    ) -> None:
        self._client = client
        self._reconnects = client.stats["reconnects"]
        self._on_stored, self._on_refused = on_stored, on_refused
        self._before_repeating = before_repeating
        self._pace = Pace()
        self._inbox = client.new_inbox()
        self._waiting: dict[int, _Message] = {}
        self._last_token = 0
        self._offered_n = 0
        self._room = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self._was_refused = False  # and what was is to be sent again, before anything new
        self.refused: str = ""
        self.repeated = 0  # messages sent again

    def refuse(self, why: str) -> None:
        """The bus said, not in an answer, that it does not take what it is sent."""
        self.refused = why

    async def open(self) -> None:
        """Listen for acks."""
        self._reconnects = self._client.stats["reconnects"]
        await self._listen(self._client, self._inbox)

    async def _listen(self, client: Client, inbox: str) -> None:
        await client.subscribe(
            f"{inbox}.*", cb=self._acknowledged, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def move(self, client: Client) -> None:
        """Go on with another client: everything without an ack is sent again, before anything new."""
        async with self._catching_up:
            inbox, reconnects = client.new_inbox(), client.stats["reconnects"]
            await self._listen(client, inbox)
            self._client, self._inbox = client, inbox
            await self._before_repeating(self._client)
            await self._repeat(list(self._waiting.items()))
            self._reconnects = reconnects

    @property
    def offered_n(self) -> int:
        """Everything that the records up to this n tell was offered."""
        return self._offered_n

    @property
    def floor(self) -> int:
        """Every record up to this n is on the bus."""
        oldest = next(iter(self._waiting.values()), None)
        return self._offered_n if oldest is None else max(oldest.n - 1, 0)

    @property
    def is_refused(self) -> bool:
        """While the stream refuses one message, later ones must not overtake it."""
        return bool(self.refused and self._waiting)

    @property
    def waiting(self) -> int:
        """Messages without an ack."""
        return len(self._waiting)

    async def publish(
        self, subject: str, payload: bytes, *, identity: str, n: int, received_ns: int = 0
    ) -> bool:
        """Send one message of record n; waits while the window is full or the server away.

        False where the message is larger than the server takes: it never can be stored.
        """
        await self._its_turn()
        if len(payload) > self._client.max_payload - _HEADER_BYTES:
            return False
        self._last_token += 1
        message = _Message(subject, payload, identity, n, time.monotonic(), received_ns)
        self._waiting[self._last_token] = message
        await self._send(self._last_token, message)
        return True

    async def _its_turn(self) -> None:
        """Until something new may go out; nothing is awaited between the last look and the return."""
        while True:
            while (
                len(self._waiting) >= self._pace.window
                or not self._client.is_connected
                or (self.refused and self._waiting)
            ):
                self._room.clear()
                await self._wait_for_room()
            if not self._is_behind:
                return
            await self._catch_up()

    @property
    def _is_behind(self) -> bool:
        """Whether older messages have to be sent again first."""
        is_reconnected: bool = self._client.stats["reconnects"] != self._reconnects
        return is_reconnected or self._was_refused or self._catching_up.locked()

    def passed(self, n: int) -> None:
        """All messages of the records up to n were offered."""
        self._offered_n = n

    async def repeat_overdue(self) -> None:
        """Send again, under the same identity, what was not acknowledged in time: it may have been stored."""
        if not self._client.is_connected:
            return
        if self._is_behind:
            await self._catch_up()
            return
        before = self._pace.lost_before(time.monotonic())
        overdue = [(token, one) for token, one in self._waiting.items() if one.sent_at <= before]
        # A stream that refuses is asked with its oldest message only: what it takes then keeps its order.
        await self._repeat(overdue[:1] if self.refused else overdue)

    async def _catch_up(self) -> None:
        """After a reconnect, before anything new: else the stream would hold a market's events in another order."""
        async with self._catching_up:
            while (reconnects := self._client.stats["reconnects"]) != self._reconnects or self._was_refused:
                self._was_refused = False
                try:
                    await self._before_repeating(self._client)
                except (NatsError, TimeoutError):
                    self._was_refused = True
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
                    return
                await self._repeat(list(self._waiting.items()))
                self._reconnects = reconnects

    async def _repeat(self, messages: list[tuple[int, _Message]]) -> None:
        reconnects = self._client.stats["reconnects"]
        for token, message in messages:
            if self._client.stats["reconnects"] != reconnects:
                return  # the rest would overtake what has to be sent again on the new connection
            if token in self._waiting:
                message.sent_at = time.monotonic()
                self.repeated += 1
                await self._send(token, message)

    async def _wait_for_room(self) -> None:
        if not await comes_within(self._room, ACK_WITHIN_SECONDS / 4):
            await self.repeat_overdue()

    async def _send(self, token: int, message: _Message) -> None:
        try:
            await self._client.publish(
                message.subject,
                message.payload,
                reply=f"{self._inbox}.{token}",
                headers={"Nats-Msg-Id": message.identity},
            )
        except NatsError:
            return  # away again: it stays in the window and is repeated

    async def _acknowledged(self, answer: Msg) -> None:
        token = int(answer.subject.rpartition(".")[2])
        if token not in self._waiting:
            return
        ack = _ack.decode(answer.data) if answer.data else _Ack(error=_NO_STREAM)
        if ack.error:
            self.refused = str(ack.error.get("description", ack.error))
            self._on_refused(reason_of_answer(ack.error if answer.data else None), self.refused)
            return  # a full or missing stream: repeated until somebody mends it
        message = self._waiting.pop(token)
        if self.refused:
            self.refused, self._was_refused = "", bool(self._waiting)
        self._pace.answered(message.sent_at, time.monotonic())
        self._room.set()
        self._on_stored(ack.seq, message.n, message.identity, message.received_ns, is_repeat=ack.duplicate)

"""What survives a killed process: capture logs, the store, the stream, the database. And what is known of the truth."""

import random
from collections import Counter, defaultdict
from collections.abc import Generator
from itertools import count
from typing import Any, NamedTuple

from tests.model.design import Design, Faults

SEGMENT_RECORDS = 4
DEDUPE_WINDOW = 25  # messages
Key = tuple[Any, ...]
Steps = Generator[None, None, None]  # a process: others run, or it is killed, wherever it yields


class Record(NamedTuple):
    """A record of a log; no two have the same `uid`, so one number with two contents shows."""

    session: int
    n: int
    day: int
    kind: str  # start, frame, crash, end
    uid: int

    @property
    def identity(self) -> tuple[int, int]:
        """Session and n."""
        return self[:2]


class Event(NamedTuple):
    """What a frame says, or a crash mark's notice."""

    session: int
    n: int
    uid: int


class StoreError(Exception):
    """Not stored, or stored and the answer lost: the caller cannot tell."""


class OtherContent(Exception):
    """Something else lies there already."""


class Gone(Exception):
    """There is no object at that key."""


class Store:
    """Objects that never change; keys are tuples, their first item says what they are."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.kinds: defaultdict[str, dict[Key, Any]] = defaultdict(dict)
        self.in_flight: list[tuple[str, Key, Any]] = []

    def put(self, kind: str, key: Key, value: Any) -> None:
        """put_if_absent, with all that can go wrong."""
        world, faults = self._world, self._world.faults
        if world.happens(faults.put_fails, "put failed"):
            raise StoreError
        if world.happens(faults.put_lands_late, "put landed late"):
            self.in_flight.append((kind, key, value))
            raise StoreError
        self._keep(kind, key, value)
        if world.happens(faults.answer_lost, "put's answer lost"):
            raise StoreError

    def _keep(self, kind: str, key: Key, value: Any) -> None:
        there = self.kinds[kind].get(key)
        if there is None:
            self._world.changes += 1
        elif there != value:
            self._world.faults_seen["lost race"] += 1
            if self._world.design.put_if_absent:
                raise OtherContent
            if kind != "plan":
                self._world.bad("an object changed")
        self.kinds[kind][key] = value
        if kind == "part" and self._world.deleted:
            self._world.deleted -= {record.uid for record in self.kinds["data"].get(key, ())}

    def land(self) -> None:
        """What was on the wire arrives."""
        for kind, key, value in self.in_flight:
            try:
                self._keep(kind, key, value)
            except OtherContent:
                continue
        self.in_flight = []

    def get(self, kind: str, key: Key) -> Any:
        """The object; raises Gone."""
        try:
            return self.kinds[kind][key]
        except KeyError:
            raise Gone((kind, *key)) from None

    def delete(self, kind: str, key: Key) -> None:
        """Remove it; fine if it is not there."""
        if self.kinds[kind].pop(key, None) is not None:
            self._world.changes += 1


class Message(NamedTuple):
    """An event as the stream has it; `stamp` is the server's time, never twice the same."""

    event: Event
    stamp: int


class Stream:
    """JetStream: a window of identities against repeats, and a past that may vanish."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.epoch, self.first_seq = 1, 1
        self.restarts = 0  # its readers notice that they were cut off
        self.messages: list[Message] = []
        self.stored: set[Event] = set()  # the truth: ever
        self._window: dict[tuple[int, int], tuple[int, Event]] = {}
        self._count = 0

    @property
    def last_seq(self) -> int:
        """Of the newest message."""
        return self.first_seq + len(self.messages) - 1

    def publish(self, event: Event) -> bool:
        """Whether an ack came back."""
        world, identity = self._world, (event.session, event.n)
        if world.happens(world.faults.publish_fails, "publish failed"):
            return False
        self._count += 1
        at, known = self._window.get(identity, (-DEDUPE_WINDOW, event))
        if self._count - at >= DEDUPE_WINDOW:
            self._window[identity] = (self._count, event)
            self.messages.append(Message(event, world.next_uid()))
            self.stored.add(event)
            world.changes += 1
        elif known != event:
            world.suspicious[
                "a crash notice was taken for a repeat of an event that the power loss undid"
            ] += 1
        return not world.happens(world.faults.ack_lost, "ack lost")

    def read(self, epoch: int, after: int, limit: int) -> list[tuple[int, Message]]:
        """Messages behind `after`, with their numbers."""
        begin = max(after + 1, self.first_seq)
        found = self.messages[begin - self.first_seq :][:limit] if epoch == self.epoch else []
        return list(enumerate(found, start=begin))

    def at(self, seq: int) -> Message | None:
        """The message of that number."""
        index = seq - self.first_seq
        return self.messages[index] if 0 <= index < len(self.messages) else None

    def lose_tail(self) -> None:
        """A server's power loss: numbers will be used again; the window is what the rest says."""
        self.restarts += 1
        if self.messages:
            del self.messages[-self._world.random.randint(1, min(6, len(self.messages))) :]
            kept = [message.event for message in self.messages[-3:]]
            self._window = {(event.session, event.n): (self._count, event) for event in kept}

    def purge(self) -> None:
        """Numbers go on."""
        self.first_seq += len(self.messages)
        self.messages = []

    def recreate(self) -> None:
        """Numbers begin again; only its time of creation tells."""
        self.restarts += 1
        self.epoch, self.first_seq, self.messages, self._window = self.epoch + 1, 1, [], {}


class World:
    """Everything durable, the schedule's chance, and what the checker is told on the way."""

    def __init__(self, seed: int, design: Design, faults: Faults) -> None:
        self.random = random.Random(seed)
        self.design, self.faults = design, faults
        self.day = 1
        self.is_resting = False
        self._turn = 0
        self.logs: list[Any] = []
        self.store, self.stream = Store(self), Stream(self)
        self.gap_rows: dict[tuple[int, int], int] = {}
        self.part_rows: dict[int, tuple[tuple[int, int, int], ...]] = {}
        self.changes = 0
        self.faults_seen: Counter[str] = Counter()
        self.suspicious: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.appended: dict[int, Record] = {}  # the truth, by uid
        self.deleted: set[int] = (
            set()
        )  # uids whose part's manifest was deleted by hand, until they are shipped again
        self.lost: set[int] = set()  # uids that a power loss took
        self._uids = count(1)

    def next_uid(self) -> int:
        """Never the same twice."""
        return next(self._uids)

    def some_day(self) -> int:
        """Any day so far; at rest one after the other."""
        if self.is_resting:
            self._turn += 1
            return self._turn % self.day + 1
        return self.random.randint(1, self.day)

    def happens(self, chance: float, what: str = "") -> bool:
        """Whether it does, counted under its name."""
        if not chance or self.random.random() >= chance:
            return False
        if what:
            self.faults_seen[what] += 1
        return True

    def bad(self, what: str) -> None:
        """A verdict: the design failed."""
        self.verdicts[what] += 1


def put(world: World, kind: str, key: Key, value: Any) -> Steps:
    """Put until it is answered; raises OtherContent."""
    while True:
        try:
            return world.store.put(kind, key, value)
        except StoreError:
            yield

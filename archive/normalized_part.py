"""Provisional normalized parts in the making: messages by schema, day and kind, as they came. Pure."""

import base64
import hashlib
from collections.abc import Callable
from datetime import date

import msgspec

from archive.files import compressor
from archive.layout import day_of
from archive.normalized_manifest import Anchor, EventsFile, EventsManifest, EventsPart, digest
from archive.normalized_message import SCHEMA, BusMessage, Poison, Sorted, sort
from archive.normalized_stand import Stand

MAX_RAW_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 1 << 18
_DAY_NS = 86_400 * 10**9
QUARANTINE = "quarantine"


class FileBuilder:
    """Rows of one kind, compressed piece by piece."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.rows = 0
        self._raw_bytes = 0
        self._hash = hashlib.sha256()
        self._compressor = compressor()
        self._pieces: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def add(self, row: bytes) -> None:
        """One row more."""
        self.rows += 1
        self._pending.append(row)
        self._pending_bytes += len(row)
        if self._pending_bytes >= _PIECE_BYTES:
            self._compress()

    def _compress(self) -> None:
        piece = b"".join(self._pending)
        self._raw_bytes += len(piece)
        self._pending, self._pending_bytes = [], 0
        self._hash.update(piece)
        self._pieces.append(self._compressor.compress(piece))

    def finish(self) -> tuple[bytes, EventsFile]:
        """The file, and what a manifest says of it."""
        self._compress()
        data = b"".join([*self._pieces, self._compressor.flush()])
        rows = self._hash.hexdigest()
        return data, EventsFile(self.token, self.rows, self._raw_bytes, len(data), digest(data), rows)


class _PartBuilder:
    """The messages of one schema and day."""

    def __init__(self) -> None:
        self.files: dict[str, FileBuilder] = {}
        self.quarantine: FileBuilder | None = None
        self.first_ns = self.last_ns = 0
        self.sessions: dict[str, list[int]] = {}

    def add(self, event: Sorted, data: bytes) -> None:
        file = self.files.get(event.file)
        if file is None:
            file = self.files[event.file] = FileBuilder(event.file)
        file.add(data)
        received_ns, n = event.received_ns, event.n
        if received_ns > self.last_ns:
            self.last_ns = received_ns
        if received_ns < self.first_ns or not self.first_ns:
            self.first_ns = received_ns
        counted = self.sessions.get(event.session)
        if counted is None:
            self.sessions[event.session] = [n, n, 1]
            return
        if n > counted[1]:
            counted[1] = n
        elif n < counted[0]:
            counted[0] = n
        counted[2] += 1

    def lock_away(self, message: BusMessage, why: str) -> None:
        self.quarantine = self.quarantine or FileBuilder(QUARANTINE)
        held = {
            "seq": message.seq, "subject": message.subject, "id": message.identity,
            "stored_ns": message.stored_ns, "why": why, "b64": base64.b64encode(message.data).decode(),
        }  # fmt: skip
        self.quarantine.add(msgspec.json.encode(held) + b"\n")


class EventsBuilder:
    """Takes a stream's messages in order; `finish` makes the parts of everything taken since the last time."""

    def __init__(
        self,
        *,
        feed: str,
        environment: str,
        stream: str,
        archiver_version: str,
        max_bytes: int = MAX_RAW_BYTES,
        on_poison: Callable[[BusMessage, str], None] = lambda message, why: None,
    ) -> None:
        self._feed, self._environment, self._stream = feed, environment, stream
        self._archiver_version = archiver_version
        self._max_bytes, self._on_poison = max_bytes, on_poison
        self.begin(Stand("", 0))

    def begin(self, stand: Stand) -> None:
        """Forget everything: what comes next follows on `stand`."""
        self.stand = stand
        self.last_seq, self._anchor = stand.position, stand.anchor
        self.messages = 0
        self.first_stored_ns = 0
        self._bytes = 0
        self._holes: list[tuple[int, int]] = []
        self._parts: dict[tuple[int, str], _PartBuilder] = {}  # by number of the day and schema
        self._newest_day = -1

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to say yet."""
        return self.last_seq == self.stand.position

    @property
    def is_full(self) -> bool:
        """Whether the parts must be finished before more is taken."""
        return self._bytes >= self._max_bytes

    def skip_to(self, seq: int) -> tuple[int, int] | None:
        """The stream goes on at `seq`: the hole before it, if there is one."""
        if seq <= self.last_seq + 1:
            return None
        hole = (self.last_seq + 1, seq - 1)
        self._holes.append(hole)
        self.last_seq = seq - 1
        return hole

    def take(self, message: BusMessage) -> bool:
        """Take the next message; False if the parts must be finished first, since a new day begins with it."""
        why = ""
        try:
            event = sort(message)
        except Poison as poison:
            event, why = None, str(poison)
        day = (event.received_ns if event else message.stored_ns) // _DAY_NS
        if event and day > self._newest_day:
            if self._newest_day >= 0:
                return False
            self._newest_day = day
        self._note(message)
        part = self._part(day, event.schema if event else SCHEMA)
        if event:
            part.add(event, message.data)
        elif why:
            part.lock_away(message, why)
            self._on_poison(message, why)
        return True

    def _note(self, message: BusMessage) -> None:
        if not self.messages:
            self.first_stored_ns = message.stored_ns
        self.messages += 1
        self.last_seq = message.seq
        self._anchor = Anchor(message.seq, message.identity)
        self._bytes += len(message.data)

    def _part(self, day: int, schema: str) -> _PartBuilder:
        part = self._parts.get((day, schema))
        if part is None:
            part = self._parts[day, schema] = _PartBuilder()
        return part

    def finish(self, *, now_ns: int) -> list[EventsPart]:
        """The parts, to be committed in this order: only the last one states that all of it is there."""
        if not self._parts:  # only a hole
            self._part(now_ns // _DAY_NS, SCHEMA)
        found = sorted(self._parts.items())
        last = len(found) - 1
        return [
            self._finish(part, schema=schema, on=day_of(day * _DAY_NS), is_last=index == last)
            for index, ((day, schema), part) in enumerate(found)
        ]

    def _finish(self, part: _PartBuilder, *, schema: str, on: date, is_last: bool) -> EventsPart:
        made = [part.files[token].finish() for token in sorted(part.files)]
        locked_away = [part.quarantine.finish()] if part.quarantine else []
        manifest = EventsManifest(
            feed=self._feed,
            environment=self._environment,
            schema=schema,
            stream=self._stream,
            epoch=self.stand.epoch,
            date=on,
            first_seq=self.stand.position + 1,
            last_seq=self.last_seq,
            position=self.last_seq if is_last else self.stand.position,
            anchor=self._anchor if is_last else self.stand.anchor,
            rows=sum(file.rows for _, file in made),
            files=[file for _, file in made],
            quarantine=locked_away[0][1] if locked_away else None,
            first_recv_ns=part.first_ns,
            last_recv_ns=part.last_ns,
            sessions={name: (first, last, rows) for name, (first, last, rows) in part.sessions.items()},
            holes=self._holes if is_last else [],
            archiver_version=self._archiver_version,
        )
        return EventsPart([data for data, _ in [*made, *locked_away]], manifest)

    @property
    def end(self) -> Stand:
        """Where the stream stands once the parts are committed."""
        return Stand(self.stand.epoch, self.last_seq, self._anchor)

"""A session's capture log on the disk of one host: what is synced stays, of the rest a power loss takes a suffix."""

from typing import Any

from tests.model.world import SEGMENT_RECORDS, Record, World


class Trimmed(Exception):
    """The log begins later."""


class Log:
    """Records by n. Behind a tear nothing can be read until it is cut."""

    def __init__(self, world: World, session: int) -> None:
        self._world = world
        self.session = session
        self.whole: dict[int, Record] = {}
        self.starts = [1]  # the first n of each segment
        self.last = self.synced = 0
        self._torn_after: int | None = None
        self.writer: Any = None  # who holds the lock
        self.shipper: Any = None
        self.published = self.shipped = 0  # the cursors
        self.is_removed = False

    @property
    def first(self) -> int:
        """Where the oldest segment begins."""
        return self.starts[0]

    def append(self, kind: str, n: int) -> None:
        """By a writer that believes n to be next; a number that is taken hides the record from every reader."""
        world = self._world
        record = Record(self.session, n, world.day, kind, world.next_uid())
        world.appended[record.uid] = record
        world.changes += 1
        if n - self.starts[-1] >= SEGMENT_RECORDS:
            self.synced = max(self.synced, n - 1)
            self.starts.append(n)
        self.whole.setdefault(n, record)
        self.last = max(self.last, n)

    def record(self, n: int) -> Record | None:
        """That record, if it can be read."""
        return self.whole.get(n) if n <= self._end else None

    @property
    def _end(self) -> int:
        return self.last if self._torn_after is None else self._torn_after

    def last_record(self) -> Record | None:
        """The last one that can be read."""
        return self.whole.get(self._end)

    @property
    def has_ended(self) -> bool:
        """Whether that is its end mark."""
        last = self.last_record()
        return last is not None and last.kind == "end"

    def crash(self) -> Record | None:
        """Its crash mark, if it stands there still."""
        return next((one for one in self.whole.values() if one.kind == "crash"), None)

    def read(self, from_n: int, limit: int) -> list[Record]:
        """What can be read from there on; raises Trimmed."""
        if from_n < self.starts[0]:
            raise Trimmed
        return [self.whole[n] for n in range(from_n, min(from_n + limit, self._end + 1))]

    def tear(self) -> None:
        """Half a record stands at the end."""
        if self._torn_after is None:
            self._torn_after = self.last

    def cut_tail(self) -> None:
        """The next writer goes on behind the last whole record."""
        self._torn_after = None

    def lose_power(self) -> None:
        """Of what is not synced, a suffix is gone; so may be the cursors' newest values."""
        random = self._world.random
        last = random.randint(self.synced, self.last) if self.synced < self.last else self.last
        for n in range(last + 1, self.last + 1):
            self._world.lost.add(self.whole.pop(n).uid)
        self._torn_after = None if self._torn_after is None or self._torn_after >= last else self._torn_after
        self.last = last
        self.published = random.choice((0, self.published))
        self.shipped = random.choice((0, self.shipped))

    def delete_segments(self, needed_after: int) -> None:
        """All before the one that holds the next record; the last one stays, it tells how the session ended."""
        while len(self.starts) > 1 and self.starts[1] <= needed_after:
            for n in range(self.starts[0], self.starts[1]):
                self.whole.pop(n, None)
            del self.starts[0]
            self._world.changes += 1

"""What the archiver's fault tests share: a judge of provisional parts, stores that fail, one run of a scenario."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

from archive.layout import day_of
from archive.store import DirectoryStore, Store, StoreError
from streaming.events import Event, GapNotice
from tests.archive.bus import events_of, manifests_of
from tests.faults.proof import Outcome, watched

WITHIN_SECONDS = 8.0


def judge(published: Sequence[Event], store: Store) -> list[str]:
    """Every published event is in the parts of its own day, once and unchanged, or was in a hole that is stated."""
    faults = []
    holes = sum(last - first + 1 for part in manifests_of(store) for first, last in part.holes)
    missing = 0
    for on in sorted({day_of(_received_ns(event)) for event in published}):
        found = {_identity(event): event for event in events_of(store, on)}
        counted = Counter(_identity(event) for event in events_of(store, on))
        of_day = {_identity(event): event for event in published if day_of(_received_ns(event)) == on}
        faults += [f"{name} is {count} times in the parts" for name, count in counted.items() if count > 1]
        faults += [f"{name} is in the parts and was not published" for name in found.keys() - of_day.keys()]
        faults += [
            f"{name} was changed" for name in found.keys() & of_day.keys() if found[name] != of_day[name]
        ]
        missing += len(of_day.keys() - found.keys())
    if missing > holes:
        faults.append(f"{missing} events are missing, holes tell of {holes}")
    return faults


def _received_ns(event: Event) -> int:
    return event.to_ns or event.from_ns if isinstance(event, GapNotice) else event.origin.received_ns


def _identity(event: Event) -> str:
    if isinstance(event, GapNotice):
        return f"{event.session}.{event.number}.{1 if event.to_ns else 0} (gap)"
    return event.origin.identity


Life = Callable[[bool, DirectoryStore], Coroutine[Any, Any, tuple[Sequence[Event], Sequence[str]]]]


def lived_through(life: Life, folder: Path) -> Callable[[bool], Outcome]:
    """A scenario for `prove`: `life(is_handled, store)` returns what was published and what else was found wrong."""

    def scenario(is_handled: bool) -> Outcome:
        store = DirectoryStore(folder / ("handled" if is_handled else "unhandled") / "normalized")
        with watched() as risen:
            published, also = asyncio.run(life(is_handled, store))
        gaps = tuple("stream_hole" for part in manifests_of(store) for _ in part.holes)
        return Outcome(gaps=gaps, metrics=risen, faults=tuple(judge(published, store)), also=tuple(also))

    return scenario


async def reaches(holds: Callable[[], bool], *, seconds: float = WITHIN_SECONDS) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


class OtherStore:
    """A store that hands everything on; what it does otherwise is a subclass's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self.calls["put"] += 1
        return self._store.put_if_absent(key, data)

    def get(self, key: str) -> bytes:
        self.calls["get"] += 1
        return self._store.get(key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._store.get_range(key, start, length)

    def head(self, key: str) -> Any:
        return self._store.head(key)

    def list(self, prefix: str) -> Iterator[str]:
        self.calls["list"] += 1
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        self._store.delete(key)


class FullDisk(OtherStore):
    """No room for anything until somebody makes some."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_room = threading.Event()
        self.refused = 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        if not self.has_room.is_set():
            self.refused += 1
            raise StoreError(f"{key}: No space left on device")
        return super().put_if_absent(key, data)


class SlowDisk(OtherStore):
    """Each object takes its time."""

    def put_if_absent(self, key: str, data: bytes) -> bool:
        time.sleep(0.1)
        return super().put_if_absent(key, data)

"""A day's raw lines hour by hour, in the order of receive time, out of parts and sealed files alike."""

import heapq
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from archive import seal_manifest
from archive.files import RawRecord, decode_line
from archive.plan import needed, start_of
from archive.raw import part_keys, read_manifest
from archive.rows import StoredRows, lines
from archive.seal_manifest import DayManifest, Plan, PlannedPart, is_beyond, planned, ranges_of
from archive.store import Store
from streaming.records import Kind

_HOUR_NS = 3_600_000_000_000
_MARK = int(Kind.MARK)


class DayLine(NamedTuple):
    """One raw line with its record; lines compare by receive time, session and n."""

    recv_ns: int
    session: str
    n: int
    line: bytes
    raw: RawRecord

    @property
    def is_mark(self) -> bool:
        """Whether it is one of our own."""
        return self.raw.record.kind == _MARK


def read_line(line: bytes) -> DayLine:
    """A raw line and its record; raises Damaged."""
    raw = decode_line(line)
    record = raw.record
    return DayLine(record.received_ns, raw.session, record.n, line, raw)


def hours_of(plan: Plan, base: DayManifest | None) -> list[int]:
    """The hours of which there is anything."""
    of_parts = {hour_of(part, plan.date) for part in plan.parts}
    return sorted(of_parts | {file.hour for file in base.raw if file.hour is not None} if base else of_parts)


def hour_of(part: PlannedPart, on: date) -> int:
    """The UTC hour of the day in which all of the part was received."""
    return (part.first_recv_ns - start_of(on)) // _HOUR_NS


def hour_lines(store: Store, plan: Plan, base: DayManifest | None, hour: int) -> Iterator[DayLine]:
    """The lines of one hour; of one session they are in order of n, since receive times rise with it."""
    by_session: dict[str, list[PlannedPart]] = defaultdict(list)
    for part in sorted(plan.parts, key=lambda part: part.first_n):
        if hour_of(part, plan.date) == hour:
            by_session[part.session].append(part)
    sources = [_chained(store, chain) for parts in by_session.values() for chain in _chains(parts)]
    if base:
        unusable = plan.unusable or ()
        files = [file for file in base.raw if file.hour == hour and file.key not in unusable]
        sources += [_chained(store, [file]) for file in files]
    return sources[0] if len(sources) == 1 else _once(heapq.merge(*sources))


def _once(found: Iterator[DayLine]) -> Iterator[DayLine]:
    """Each record once, though two parts, or a part and a sealed file, hold it."""
    last: dict[str, int] = {}
    for line in found:
        if line.n > last.get(line.session, 0):
            last[line.session] = line.n
            yield line


def _chains(parts: list[PlannedPart]) -> list[list[StoredRows]]:
    """Parts that follow one another are read one after the other; one that overlaps is merged with them."""
    chains: list[list[PlannedPart]] = []
    for part in parts:
        fitting = next((chain for chain in chains if chain[-1].last_n < part.first_n), None)
        if fitting is None:
            chains.append([part])
        else:
            fitting.append(part)
    return [list[StoredRows](chain) for chain in chains]


def _chained(store: Store, stored: list[StoredRows]) -> Iterator[DayLine]:
    for one in stored:
        for line in lines(store, one):
            yield read_line(line)


def day_lines(store: Store, feed: str, on: date) -> Iterator[DayLine]:
    """All that is committed of a day: its latest sealed version, and the parts beyond it."""
    plan, base = as_it_stands(store, feed, on)
    for hour in hours_of(plan, base):
        yield from hour_lines(store, plan, base, hour)


def session_lines(store: Store, feed: str, on: date, session: str) -> Iterator[DayLine]:
    """The lines of one session on a day, in order of n."""
    return (line for line in day_lines(store, feed, on) if line.session == session)


def first_n_on(store: Store, feed: str, on: date, session: str) -> int | None:
    """The first record of a session on a day; None where it has none."""
    plan, base = as_it_stands(store, feed, on)
    found = [part.first_n for part in plan.parts if part.session == session]
    found += [span.first_n for span in base.spans if span.session == session] if base else []
    return min(found, default=None)


def as_it_stands(store: Store, feed: str, on: date) -> tuple[Plan, DayManifest | None]:
    """A plan of everything there is, which nobody commits."""
    keys = part_keys(
        store, feed, on
    )  # before the versions: what is sealed and removed meanwhile is not missed
    base = seal_manifest.latest(store, feed, on)
    known = ranges_of(base)
    parts = [
        planned(read_manifest(store, key)) for key in needed([one for one in keys if is_beyond(one, known)])
    ]
    plan = Plan(
        feed=feed,
        environment="",
        date=on,
        version=0,
        base=base.version if base else 0,
        is_partial=True,
        planned_ns=0,
        shards=1,
        parts=parts,
        sessions=known,
    )
    return plan, base

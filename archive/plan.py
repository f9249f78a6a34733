"""Which raw parts a sealed version is made from: decided once, committed, and never reconsidered."""

from datetime import date, timedelta

from archive import layout, seal_manifest
from archive.files import Damaged
from archive.layout import PartKey
from archive.raw import part_keys, read_manifest
from archive.seal_manifest import (
    MOST_SHARDS,
    SHARD_BYTES,
    DayManifest,
    Plan,
    PlannedPart,
    is_beyond,
    planned,
    ranges_of,
)
from archive.store import OtherContent, Store


class NothingNew(Exception):
    """The latest version of the day holds all that there is."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} holds everything")
        self.version = version


class NothingRecorded(Exception):
    """No part of that day is in the archive."""


def plan_day(
    store: Store,
    feed: str,
    environment: str,
    on: date,
    *,
    now_ns: int,
    again: bool = False,
    mapper: str = "",
) -> tuple[Plan, DayManifest | None]:
    """The plan of the next version, and the version that it builds on.

    A plan that was committed and not finished is taken up as it is. `again`: even if there is nothing new.
    """
    keys = part_keys(
        store, feed, on
    )  # before the versions: what is sealed and removed meanwhile is not missed
    base = seal_manifest.latest(store, feed, on)
    version = base.version + 1 if base else 1
    key = layout.plan_key(feed, on, version)
    plan = seal_manifest.read_if_there(store, key, Plan)
    if plan is None:
        plan = _make(store, feed, environment, on, keys, base, now_ns=now_ns, again=again, mapper=mapper)
        try:
            store.put_if_absent(key, seal_manifest.encode(plan))
        except OtherContent:  # somebody else planned this version in the same moment: one plan is as good
            plan = seal_manifest.read(store, key, Plan)
    return plan, base


def _make(
    store: Store,
    feed: str,
    environment: str,
    on: date,
    keys: list[PartKey],
    base: DayManifest | None,
    *,
    now_ns: int,
    again: bool,
    mapper: str,
) -> Plan:
    known = ranges_of(base)
    late = needed([key for key in keys if is_beyond(key, known)])
    is_partial = now_ns < start_of(on + timedelta(days=1))
    if base is None and not late:
        raise NothingRecorded
    if base and not late and not again and (is_partial or not base.is_partial):
        raise NothingNew(base.version)
    sessions = whole(late, known)
    for session, (first_n, _) in sessions.items():
        if first_n > 1 and session not in known:
            require_continued(store, feed, on, session, first_n)
    parts = [planned(read_manifest(store, key)) for key in late]
    before = seal_manifest.read(store, layout.plan_key(feed, on, base.version), Plan) if base else None
    return Plan(
        feed=feed,
        environment=environment,
        date=on,
        version=base.version + 1 if base else 1,
        base=base.version if base else 0,
        is_partial=is_partial,
        planned_ns=now_ns,
        shards=before.shards if before else _shards(parts),
        mapper=mapper,
        parts=parts,
        sessions=sessions,
    )


def _shards(parts: list[PlannedPart]) -> int:
    """A function of the inputs: resuming elsewhere must lead to the same files."""
    return min(MOST_SHARDS, 1 + sum(part.raw_bytes for part in parts) // SHARD_BYTES)


def needed(keys: list[PartKey]) -> list[PartKey]:
    """The parts without those whose records others hold, too: a record has one content, wherever it stands."""
    found: list[PartKey] = []
    for key in sorted(keys, key=lambda key: (key.session, key.first_n, -key.last_n)):
        last = found[-1] if found and found[-1].session == key.session else None
        if last is None or key.last_n > last.last_n:
            found.append(key)
    return found


def whole(keys: list[PartKey], known: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    """The records of each session, in a version's ranges and parts together; raises Damaged where some are missing."""
    ranges = [(session, first_n, last_n) for session, (first_n, last_n) in known.items()]
    ranges += [(key.session, key.first_n, key.last_n) for key in keys]
    found: dict[str, tuple[int, int]] = {}
    for session, first_n, last_n in sorted(ranges):
        begun, so_far = found.get(session, (first_n, first_n - 1))
        if first_n > so_far + 1:
            raise Damaged(f"records {so_far + 1} to {first_n - 1} of {session} are gone")
        found[session] = (begun, max(so_far, last_n))
    return found


def require_continued(store: Store, feed: str, on: date, session: str, first_n: int) -> None:
    """A session that did not begin on this day was there the day before, up to that record; raises Damaged."""
    day_before = on - timedelta(days=1)
    ends = [key.last_n for key in part_keys(store, feed, day_before, session=session)]
    ends += [
        last_n
        for _, last_n in [ranges_of(seal_manifest.latest(store, feed, day_before)).get(session, (0, 0))]
    ]
    if first_n - 1 not in ends:
        raise Damaged(
            f"records before {first_n} of {session} are gone: {day_before} ends at {max(ends)}, {on} begins there"
        )


def start_of(on: date) -> int:
    """Unix ns of the day's first instant, UTC."""
    return (on - date(1970, 1, 1)).days * 86_400 * 1_000_000_000

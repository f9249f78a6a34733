"""Which raw parts a sealed version is made from: decided once, committed, and never reconsidered."""

from datetime import date, timedelta

from archive import layout, seal_manifest
from archive.files import Damaged
from archive.layout import PartKey
from archive.raw import part_keys, read_manifest
from archive.seal_manifest import MOST_SHARDS, SHARD_BYTES, DayManifest, Plan, PlannedPart, is_beyond, planned
from archive.store import OtherContent, Store


class NothingNew(Exception):
    """The latest version of the day holds all that there is."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} holds everything")
        self.version = version


class NothingRecorded(Exception):
    """No part of that day is in the archive."""


def plan_day(
    store: Store, feed: str, environment: str, on: date, *, now_ns: int, again: bool = False
) -> tuple[Plan, DayManifest | None]:
    """The plan of the next version, and the version that it builds on.

    A plan that was committed and not finished is taken up as it is. `again`: even if there is nothing new.
    """
    base = seal_manifest.latest(store, feed, on)
    version = base.version + 1 if base else 1
    key = layout.plan_key(feed, on, version)
    plan = seal_manifest.read_if_there(store, key, Plan)
    if plan is None:
        plan = _make(store, feed, environment, on, base, now_ns=now_ns, again=again)
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
    base: DayManifest | None,
    *,
    now_ns: int,
    again: bool,
) -> Plan:
    before = seal_manifest.read(store, layout.plan_key(feed, on, base.version), Plan) if base else None
    known = before.sessions if before else {}
    keys = [key for key in part_keys(store, feed, on) if is_beyond(key, known)]
    is_partial = now_ns < start_of(on + timedelta(days=1))
    if base is None and not keys:
        raise NothingRecorded
    if base and not keys and not again and (is_partial or not base.is_partial):
        raise NothingNew(base.version)
    require_whole(keys, known)
    parts = [planned(read_manifest(store, key)) for key in keys]
    return Plan(
        feed=feed,
        environment=environment,
        date=on,
        version=base.version + 1 if base else 1,
        base=base.version if base else 0,
        is_partial=is_partial,
        planned_ns=now_ns,
        shards=before.shards if before else _shards(parts),
        parts=parts,
        sessions={**known, **{part.session: part.last_n for part in parts}},
    )


def _shards(parts: list[PlannedPart]) -> int:
    """A function of the inputs: resuming elsewhere must lead to the same files."""
    return min(MOST_SHARDS, 1 + sum(part.raw_bytes for part in parts) // SHARD_BYTES)


def require_whole(keys: list[PartKey], known: dict[str, int]) -> None:
    """Each session's parts follow one another; raises Damaged where records are missing or there twice."""
    last: dict[str, int] = dict(known)
    for key in sorted(keys, key=lambda key: (key.session, key.first_n)):
        expected = last.get(key.session, key.first_n - 1) + 1
        if key.first_n < expected:
            raise Damaged(f"{key.data} holds records of {key.session} that are in another part, too")
        if key.first_n > expected:
            raise Damaged(
                f"records {expected} to {key.first_n - 1} of {key.session} are gone: they should lie before {key.data}"
            )
        last[key.session] = key.last_n


def start_of(on: date) -> int:
    """Unix ns of the day's first instant, UTC."""
    return (on - date(1970, 1, 1)).days * 86_400 * 1_000_000_000

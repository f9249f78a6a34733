"""Which raw parts a sealed version is made from: decided once, committed, and never reconsidered."""

from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from archive import layout, seal_manifest
from archive.continuity import Continuity, following
from archive.files import Damaged
from archive.layout import PartKey, day_of
from archive.raw import part_keys, read_manifest
from archive.rebuild import Rebuild, rebuild_of
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
    rebuild: bool = False,
    told: Sequence[PartKey] = (),
) -> tuple[Plan, DayManifest | None]:
    """The plan of the next version, and the version that it builds on.

    A plan that was committed and not finished is taken up as it is. `again`: even if there is nothing new.
    `rebuild`: with what is damaged of the sealed raw files from its parts, in place of a plan that has to read it.
    `told`: the day's parts as the registry knows them. Raises Damaged where records are gone.
    """
    after = following(store, feed, on, today=day_of(now_ns))
    # Before the versions: what is sealed and removed meanwhile is not missed.
    keys = part_keys(store, feed, on)
    base = seal_manifest.latest(store, feed, on)
    again_from = rebuild_of(store, base, keys) if base and rebuild else Rebuild([], [])
    version, plan = _begun(store, feed, on, base.version + 1 if base else 1)
    if plan is not None and not set(again_from.unusable) <= set(plan.unusable or ()):
        version, plan = version + 1, None
    if plan is None:
        key = layout.plan_key(feed, on, version)
        known = ranges_of(base)
        late = needed([key for key in keys if is_beyond(key, known)])
        is_partial = now_ns < start_of(on + timedelta(days=1))
        is_asked = again or bool(again_from.unusable)
        if base and not late and not is_asked and (is_partial or not base.is_partial):
            raise NothingNew(base.version)
        whole = Continuity(store, feed, on, late, known=known, after=after, told=told)
        for hole in whole.holes():
            raise Damaged(str(hole))
        if base is None and not late:
            raise NothingRecorded
        plan = _made(
            store,
            feed,
            environment,
            on,
            sorted({*late, *again_from.parts}),
            base,
            whole.ranges(),
            now_ns=now_ns,
            is_partial=is_partial,
            mapper=mapper,
        )
        plan = msgspec.structs.replace(plan, version=version, unusable=again_from.unusable or msgspec.UNSET)
        try:
            store.put_if_absent(key, seal_manifest.encode(plan))
        except OtherContent:  # somebody else planned this version in the same moment: one plan is as good
            plan = seal_manifest.read(store, key, Plan)
    return plan, base


def _begun(store: Store, feed: str, on: date, version: int) -> tuple[int, Plan | None]:
    """The latest plan from this version on: one that could not be carried out has a later one behind it."""
    plan = seal_manifest.read_if_there(store, layout.plan_key(feed, on, version), Plan)
    while plan and (
        later := seal_manifest.read_if_there(store, layout.plan_key(feed, on, version + 1), Plan)
    ):
        version, plan = version + 1, later
    return version, plan


def _made(
    store: Store,
    feed: str,
    environment: str,
    on: date,
    late: list[PartKey],
    base: DayManifest | None,
    sessions: dict[str, tuple[int, int]],
    *,
    now_ns: int,
    is_partial: bool,
    mapper: str,
) -> Plan:
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


def start_of(on: date) -> int:
    """Unix ns of the day's first instant, UTC."""
    return (on - date(1970, 1, 1)).days * 86_400 * 1_000_000_000

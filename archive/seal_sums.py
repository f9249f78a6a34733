"""What a day manifest sums up over the steps of its seal."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, Diff, Plan, PlannedPart, QualityCount, Shard, replaced_by
from archive.store import Store


def quality_of(counts: Iterable[QualityCount]) -> list[QualityCount]:
    """The shards' counts by session and issue, with the first example of each."""
    found: dict[tuple[str, str], QualityCount] = {}
    for one in sorted(counts, key=lambda one: one.n):
        known = found.get((one.session, one.issue))
        count = one.count + (known.count if known else 0)
        found[one.session, one.issue] = msgspec.structs.replace(known or one, count=count)
    return [found[key] for key in sorted(found)]


def connector_version(plan: Plan, base: DayManifest | None) -> str:
    """The version of the connector that received the day's last record."""
    sources: list[PlannedPart | DayManifest] = [*plan.parts, *([base] if base else [])]
    return max(sources, key=lambda source: source.last_recv_ns).connector_version if sources else ""


def diff_of(store: Store, base: DayManifest | None, shards: list[Shard]) -> Diff:
    """How this version's normalized files differ from those of the one before."""
    if base is None:
        return Diff(added=sum(shard.files for shard in shards))
    counts = Counter[str]()
    for before, now in zip(base.shards, shards, strict=True):
        is_unreadable = before.index.key in replaced_by(now)
        known = [] if is_unreadable else read_index(store, before.index)
        old = {(file.kind, file.ticker): file.sha256_rows for file in known}
        new = {(file.kind, file.ticker): file.sha256_rows for file in read_index(store, now.index)}
        for key in old.keys() | new.keys():
            counts[_change(old.get(key), new.get(key))] += 1
    return Diff(**counts)


def _change(old: str | None, new: str | None) -> str:
    if old is None:
        return "added"
    if new is None:
        return "removed"
    return "same" if old == new else "changed"

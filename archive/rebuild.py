"""Sealed raw files that are gone or damaged, and the parts from which a next version can make them again."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from archive.damage import examine
from archive.files import Damaged, decode_line
from archive.identities import IdentitySet
from archive.layout import PartKey
from archive.objects import ObjectMissing, Store
from archive.raw import read_manifest
from archive.rows import lines
from archive.seal_manifest import DayManifest, planned, ranges_of
from registry.calendar import Span, merged, without


class Rebuild(NamedTuple):
    """The keys of a version's raw files that must not be read, and the parts that hold what they held."""

    unusable: list[str]
    parts: list[PartKey]


def rebuild_of(store: Store, base: DayManifest, keys: Iterable[PartKey]) -> Rebuild:
    """Look at every raw file of a version; raises Damaged where parts do not hold all that is lost."""
    unusable, held = _looked_at(store, base)
    if not unusable:
        return Rebuild([], [])
    lost = {session: merged(_without(held, session, *range_)) for session, range_ in ranges_of(base).items()}
    parts = [key for key in keys if _holds_any(key, lost.get(key.session, [])) and _is_sound(store, key)]
    found: defaultdict[str, list[Span]] = defaultdict(list)
    for key in parts:
        found[key.session].append((key.first_n, key.last_n + 1))
    for session, spans in lost.items():
        for first_n, end in without(spans, merged(found[session])):
            raise Damaged(
                f"{', '.join(unusable)} cannot be made again:"
                f" records {first_n} to {end - 1} of {session} are in no sound part"
            )
    return Rebuild(unusable, parts)


def _looked_at(store: Store, base: DayManifest) -> tuple[list[str], IdentitySet]:
    """The files that cannot be read, and the records in the others."""
    unusable, held = [], IdentitySet()
    for file in base.raw:
        own = IdentitySet()
        try:
            for line in map(decode_line, lines(store, file)):
                own.add(line.session, line.record.n, 0)
        except Damaged:
            unusable.append(file.key)
        else:
            held.merge(own)
    return unusable, held


def _without(held: IdentitySet, session: str, first_n: int, last_n: int) -> Iterator[Span]:
    """The records that are not held, as spans."""
    start = None
    for n in range(first_n, last_n + 2):
        is_lost = n <= last_n and (session, n, 0) not in held
        if is_lost and start is None:
            start = n
        elif not is_lost and start is not None:
            yield start, n
            start = None


def _holds_any(key: PartKey, lost: Iterable[Span]) -> bool:
    return any(first_n <= key.last_n and key.first_n < end for first_n, end in lost)


def _is_sound(store: Store, key: PartKey) -> bool:
    try:
        return examine(store, planned(read_manifest(store, key))) is None
    except (Damaged, ObjectMissing):
        return False

"""Which records of a day should be in the archive and are not: by their numbers, the days beside it, and the registry."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from archive import seal_manifest
from archive.layout import PartKey
from archive.objects import Store
from archive.raw import part_keys
from archive.seal_manifest import ranges_of
from registry.calendar import Span, merged, without

LOOK_DAYS = 7  # a machine that slept recorded nothing for days
Ranges = Mapping[str, tuple[int, int]]


class Hole(NamedTuple):
    """Records that are gone, and how that is known."""

    session: str
    first_n: int
    last_n: int
    known_by: str

    @property
    def rows(self) -> int:
        """How many records these are."""
        return self.last_n - self.first_n + 1

    def __str__(self) -> str:
        return f"records {self.first_n} to {self.last_n} of {self.session} are gone{self.known_by}"


class Following(NamedTuple):
    """The next day of which anything is archived, and each session's first record there."""

    on: date | None
    first_n: Mapping[str, int]


def following(store: Store, feed: str, on: date, *, today: date = date.max) -> Following:
    """Ask it before the day itself is listed: a session's parts are stored in their order."""
    last = min(today, on + timedelta(days=LOOK_DAYS))
    for days in range(1, (last - on).days + 1):
        later = on + timedelta(days=days)
        if found := _ranges_on(store, feed, later):
            return Following(later, {session: first_n for session, (first_n, _) in found.items()})
    return Following(None, {})


def _ranges_on(store: Store, feed: str, on: date) -> dict[str, tuple[int, int]]:
    """The first and last record of each session, in parts and in the sealed version; raises Damaged."""
    ranges = [(key.session, key.first_n, key.last_n) for key in part_keys(store, feed, on)]
    known = ranges_of(seal_manifest.latest(store, feed, on))
    ranges += [(session, first_n, last_n) for session, (first_n, last_n) in known.items()]
    found: dict[str, tuple[int, int]] = {}
    for session, first_n, last_n in ranges:
        begun, ended = found.get(session, (first_n, last_n))
        found[session] = (min(begun, first_n), max(ended, last_n))
    return found


class Continuity:
    """The records of one day: `parts` of it, what its sealed version holds, what came after, what the registry knows."""

    def __init__(
        self,
        store: Store,
        feed: str,
        on: date,
        parts: Iterable[PartKey],
        *,
        known: Ranges,
        after: Following,
        told: Sequence[PartKey] = (),
    ) -> None:
        self._store, self._feed, self._on = store, feed, on
        self._known, self._after, self._told = known, after, told
        found: defaultdict[str, list[Span]] = defaultdict(list)
        for key in parts:
            found[key.session].append((key.first_n, key.last_n + 1))
        for session, (first_n, last_n) in known.items():
            found[session].append((first_n, last_n + 1))
        self._have = {session: merged(spans) for session, spans in found.items()}

    def ranges(self) -> dict[str, tuple[int, int]]:
        """The first and last record of each session."""
        return {session: (have[0][0], have[-1][1] - 1) for session, have in sorted(self._have.items())}

    def holes(self) -> Iterator[Hole]:
        """All that is gone, each record once; raises Damaged where a neighbouring day cannot be read."""
        for session in sorted({*self._have, *(key.session for key in self._told)}):
            covered = self._have.get(session, [])
            for first, end, known_by in self._due(session, covered):
                for start, stop in without([(first, end)], covered) if first < end else []:
                    yield Hole(session, start, stop - 1, known_by)
                    covered = merged([*covered, (start, stop)])

    def _due(self, session: str, have: list[Span]) -> Iterator[tuple[int, int, str]]:
        """What should be there: (first n, the n after the last, how that is known)."""
        if have:
            first, end = have[0][0], have[-1][1]
            yield first, end, ""
            if first > 1 and session not in self._known:
                yield self._since_the_day_before(session, first)
            if session in self._after.first_n:
                begins = self._after.first_n[session]
                yield end, begins, f": {self._on} ends at {end - 1}, {self._after.on} begins at {begins}"
        for key in self._told:
            if key.session == session:
                yield key.first_n, key.last_n + 1, ": the registry knows that they were archived"

    def _since_the_day_before(self, session: str, first: int) -> tuple[int, int, str]:
        for days in range(1, LOOK_DAYS + 1):
            before = self._on - timedelta(days=days)
            if found := _ranges_on(self._store, self._feed, before):
                ended = found.get(session, (0, 0))[1]
                where = f"ends at {ended}" if ended else "does not hold the session"
                return ended + 1, first, f": {before} {where}, {self._on} begins at {first}"
        return 1, first, f": {self._on} begins at {first}, and no day before holds the session"

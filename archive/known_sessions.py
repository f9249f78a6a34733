"""What is committed of sessions: their marks and records, from the rows of parts, and from sealed days once parts are gone."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import msgspec
from django.db.models import Min, QuerySet

from archive import seal_manifest
from archive.seal_manifest import DayManifest
from archive.session_marks import Run, SessionMark, runs_of
from archive.store import Store
from registry.models import ArchivePart, CaptureSession, DataGap, Feed, SealedDay
from streaming import marks


@dataclass(frozen=True, slots=True)
class Known:
    """Marks and committed records, each session's whole."""

    marks: list[SessionMark]
    runs: list[Run]

    def of(self, sessions: Collection[str]) -> "Known":
        """Of these sessions only."""
        return Known(
            [at for at in self.marks if at.session in sessions],
            [run for run in self.runs if run.session in sessions],
        )


@dataclass(frozen=True, slots=True)
class Archived:
    """One environment's raw archive, and the row of its feed; `normalized` is asked for what raw does not state."""

    feed: Feed
    environment: str
    store: Store
    normalized: Store | None = None

    @property
    def parts(self) -> QuerySet[ArchivePart]:
        """The rows of its committed parts."""
        return ArchivePart.objects.filter(feed=self.feed, environment=self.environment)


def known_sessions(archived: Archived, sessions: Collection[str]) -> Known:
    """All that is committed of these sessions."""
    parts = archived.parts.filter(session__in=sessions)
    runs = [Run(*row) for row in parts.values_list("session", "first_n", "last_n", "first_ns", "last_ns")]
    found = list(_marks(parts.exclude(marks=[])))
    for manifest in _sealed(archived, sessions, runs):
        runs += [run for run in runs_in(manifest) if run.session in sessions]
        found += [at for at in marks_in(manifest) if at.session in sessions]
    return Known(found, runs_of(runs))


def _marks(parts: QuerySet[ArchivePart]) -> Iterator[SessionMark]:
    for session, kept in parts.values_list("session", "marks"):
        for at in kept:
            yield SessionMark(session, at["n"], at["recv_ns"], msgspec.convert(at["data"], marks.Mark))


def _sealed(archived: Archived, sessions: Collection[str], runs: Iterable[Run]) -> Iterator[DayManifest]:
    """Sealed days that hold what no part holds any more; parts are removed some days after the seal."""
    have: dict[str, int] = {}
    for run in runs:
        have[run.session] = have.get(run.session, 0) + run.last_n - run.first_n + 1
    rows = CaptureSession.objects.filter(session__in=sessions)
    lacking = [row for row in rows if have.get(row.session, 0) < row.records]
    if not lacking:
        return
    days = SealedDay.objects.filter(
        feed=archived.feed, date__gte=min(row.started_at for row in lacking).date()
    )
    if all(row.ended_at for row in lacking):
        days = days.filter(date__lte=max(row.ended_at for row in lacking if row.ended_at).date())
    for on in sorted(set(days.values_list("date", flat=True))):
        manifest = seal_manifest.latest(archived.store, archived.feed.name, on)
        if manifest is not None:
            yield manifest


def marks_in(manifest: DayManifest) -> Iterator[SessionMark]:
    """The marks that a sealed day keeps."""
    for at in manifest.marks:
        yield SessionMark(at.session, at.n, at.recv_ns, at.at().decode())


def runs_in(manifest: DayManifest) -> Iterator[Run]:
    """The records that a sealed day holds."""
    for span in manifest.spans:
        yield Run(span.session, span.first_n, span.last_n, span.first_recv_ns, span.last_recv_ns)


def sessions_of_day(archived: Archived, on: date) -> set[str]:
    """Sessions that recorded on the day, or lost something on it."""
    rows = CaptureSession.objects.filter(feed=archived.feed, environment=archived.environment)
    following = datetime.combine(on, datetime.max.time(), UTC)
    over = rows.filter(
        started_at__lte=following, ended_at__gte=datetime.combine(on, datetime.min.time(), UTC)
    )
    gaps = DataGap.objects.filter(feed=archived.feed, date=on)
    return {
        *archived.parts.filter(date=on).values_list("session", flat=True),
        *gaps.values_list("session", flat=True),
        *over.values_list("session", flat=True),
    }


def first_record_ns(archived: Archived, known: Known) -> int | None:
    """When the feed's first record ever was received; exact where its session is among the known."""
    rows = CaptureSession.objects.filter(feed=archived.feed, environment=archived.environment)
    first = rows.aggregate(at=Min("started_at"))["at"]
    if first is None:
        return None
    floor_ns = int(first.timestamp()) * 10**9 + first.microsecond * 1000
    return next(
        (run.first_ns for run in sorted(known.runs, key=_begun) if run.first_ns // 1000 * 1000 <= floor_ns),
        floor_ns,
    )


def _begun(run: Run) -> int:
    return run.first_ns

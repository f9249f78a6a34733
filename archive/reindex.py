"""Makes every row of an archive anew from its manifests alone: parts, sessions, gaps, sealed days, inventory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

from django.db import transaction

from archive.day_rows import renew_days
from archive.gap_rows import renew_gaps
from archive.known_sessions import Archived, known_sessions, sessions_of_day
from archive.layout import parse_manifest_key, parse_seal_key
from archive.reindex_day import Day
from archive.session_rows import renew_sessions
from registry.models import CaptureSession, DataGap, DataInventory, Feed, SealedDay
from streaming.subjects import escape

SESSIONS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What was done: how many manifests became rows, which could not be read, which rows nothing stood for any more."""

    parts: int
    sealed: int
    damaged: tuple[str, ...]
    removed: int


Progress = Callable[[str], None]


def reindex(archived: Archived, days: Sequence[date] | None, *, now_ns: int, progress: Progress) -> Reindexed:
    """Rebuild the rows of these days, or of all; what people wrote on rows that still exist stays."""
    there = _days_in(archived) if days is None else sorted(set(days))
    removed = _remove_days(archived, there) if days is None else 0
    parts = sealed = 0
    damaged: list[str] = []
    for number, on in enumerate(there, start=1):
        of_day = Day(archived, on)
        with _alone(archived):
            of_day.record()
        parts, sealed, removed = parts + of_day.parts, sealed + of_day.sealed, removed + of_day.removed
        damaged += of_day.damaged
        progress(
            f"{on}: {of_day.parts} parts, {of_day.sealed} sealed versions ({number} of {len(there)} days)"
        )
    removed += _renew(archived, there, is_all=days is None, now_ns=now_ns, progress=progress)
    return Reindexed(parts, sealed, tuple(damaged), removed)


def _days_in(archived: Archived) -> list[date]:
    """Every day of which the raw archive holds a manifest."""
    found = set()
    for name in archived.store.list(f"{escape(archived.feed.name)}/"):
        key = parse_manifest_key(name)
        if key is not None:
            found.add(key.on)
        elif parse_seal_key(name) is not None:
            found.add(date.fromisoformat("-".join(name.split("/")[1:4])))
    return sorted(found)


def _remove_days(archived: Archived, there: Sequence[date]) -> int:
    """Rows of days of which the archive holds nothing."""
    gone = archived.parts.exclude(date__in=there).delete()[0]
    gone += SealedDay.objects.filter(feed=archived.feed).exclude(date__in=there).delete()[0]
    for row in DataInventory.objects.filter(feed=archived.feed).exclude(date__in=there):
        gone += row.delete()[0]
    return gone


def _renew(archived: Archived, days: Sequence[date], *, is_all: bool, now_ns: int, progress: Progress) -> int:
    """Sessions, then gaps, then the state of the days, from the parts that are known now."""
    names = sorted(_sessions(archived, days, is_all=is_all))
    removed = 0
    # All sessions first: a gap of one ends with another.
    for batch in _batches(names):
        with _alone(archived):
            removed += _renew_sessions(archived, batch)
    changed: set[date] = set()
    for number, batch in enumerate(_batches(names), start=1):
        with _alone(archived):
            changed |= renew_gaps(archived, batch, known_sessions(archived, batch), now_ns=now_ns)
        progress(f"gaps of {min(number * SESSIONS_AT_ONCE, len(names))} of {len(names)} sessions")
    for on in sorted(changed | set(days)):
        with _alone(archived):
            renew_days(archived, [on], now_ns=now_ns)
    return removed


@contextmanager
def _alone(archived: Archived) -> Iterator[None]:
    """In a transaction, as the feed's one writer."""
    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=archived.feed.pk)
        yield


def _batches(names: Sequence[str]) -> Iterator[set[str]]:
    for start in range(0, len(names), SESSIONS_AT_ONCE):
        yield set(names[start : start + SESSIONS_AT_ONCE])


def _sessions(archived: Archived, days: Sequence[date], *, is_all: bool) -> set[str]:
    if not is_all:
        return {session for on in days for session in sessions_of_day(archived, on)}
    rows = CaptureSession.objects.filter(feed=archived.feed, environment=archived.environment)
    parts = archived.parts.order_by().values_list("session", flat=True).distinct()
    return {*parts, *rows.values_list("session", flat=True)}


def _renew_sessions(archived: Archived, names: set[str]) -> int:
    """Rows of these sessions; those of which the archive holds nothing any more go, with their gaps."""
    known = known_sessions(archived, names)
    renew_sessions(archived, names, known)
    gone = names - {run.session for run in known.runs}
    DataGap.objects.filter(feed=archived.feed, session__in=gone).delete()
    return CaptureSession.objects.filter(session__in=gone).delete()[0]

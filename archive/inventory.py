"""Turns committed manifests into rows: parts and figures here, sessions, gaps, days by the modules named for them.

Every row follows from manifests and the present moment alone: repeating, overlapping and reordering these calls leads
to the same rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any

import msgspec
import structlog
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from archive import seal_manifest
from archive.day_rows import renew_days
from archive.files import Damaged
from archive.gap_rows import renew_gaps, sessions_touched, unix_ns
from archive.known_sessions import Archived, known_sessions
from archive.layout import PartKey, days_between, parse_manifest_key, parts_prefix
from archive.manifest import MarkAt, PartManifest
from archive.raw import read_manifest
from archive.raw_row import recount
from archive.sealed_rows import record_sealed
from archive.session_rows import renew_sessions
from archive.store import Store
from registry.models import ArchivePart, CaptureSession, DataGap, DataInventory, Feed
from streaming import failpoints, marks
from streaming.subjects import escape

log = structlog.get_logger()

BATCH = 200
# How far back a session without end mark is still looked for; `everything=True` finds older ones.
OPEN_SESSION_DAYS = 7
# Marks after which a loss of another session may end otherwise.
_TURNS = (marks.ConnectionReady, marks.ConnectionClose, marks.SessionEnd)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one call found: new parts, and manifests that could not be read."""

    parts: int = 0
    damaged: int = 0


def archived_by(store: Store, feed: str, environment: str, *, normalized: Store | None = None) -> Archived:
    """The raw archive of an environment, with the row of its feed."""
    return Archived(Feed.objects.get(name=feed), environment, store, normalized)


def record_new_parts(
    store: Store,
    feed: str,
    environment: str,
    *,
    everything: bool = False,
    now: datetime | None = None,
    progress: Callable[[int], None] = lambda parts: None,
) -> Recorded:
    """Make rows of the manifests that are not yet in the database.

    Looks at the days that may still grow, or at the whole archive of the feed (`everything`, or when it knows none).
    """
    archived = archived_by(store, feed, environment)
    now_ns = unix_ns(now or timezone.now())
    today = (now or timezone.now()).date()
    _catch_up_sessions(archived)
    return _record_keys(
        archived, _new_keys(archived, today=today, everything=everything), now_ns=now_ns, progress=progress
    )


def _record_keys(
    archived: Archived, keys: Iterator[PartKey], *, now_ns: int, progress: Callable[[int], None]
) -> Recorded:
    parts = damaged = 0
    while batch := list(islice(keys, BATCH)):
        found = [manifest for key in batch if (manifest := _read(archived, key)) is not None]
        damaged += len(batch) - len(found)
        parts += len(found)
        if found:
            _record(archived, found, now_ns=now_ns)
            failpoints.reach("inventory.after_rows")
        progress(parts)
    _turn_of_day(archived, now_ns=now_ns)
    return Recorded(parts, damaged)


def _new_keys(archived: Archived, *, today: date, everything: bool) -> Iterator[PartKey]:
    days = None if everything else _growing_days(archived, today)
    feed = archived.feed.name
    prefixes = [f"{escape(feed)}/"] if days is None else [parts_prefix(feed, on) for on in days]
    yield from _keys_below(archived, prefixes)


def _keys_below(archived: Archived, prefixes: Sequence[str]) -> Iterator[PartKey]:
    for prefix in prefixes:
        have = set(archived.parts.filter(key__startswith=prefix).values_list("key", flat=True))
        for name in archived.store.list(prefix):
            key = parse_manifest_key(name)
            if key is not None and key.data not in have:
                yield key


def _growing_days(archived: Archived, today: date) -> list[date] | None:
    """Days whose parts may not all be known; None: all days."""
    last = archived.parts.aggregate(last=Max("date"))["last"]
    if last is None:
        return None
    days = set(days_between(min(last, today - timedelta(days=1)), today))
    for stopped in _silent_sessions(archived.parts, today):
        days |= {stopped, stopped + timedelta(days=1)}
    return sorted(days)


def _silent_sessions(known: Any, today: date) -> Iterator[date]:
    """The last known day of each session that went silent before yesterday without an end."""
    recent = known.filter(date__gte=today - timedelta(days=OPEN_SESSION_DAYS))
    last_days = recent.values_list("session").annotate(last=Max("date"))
    silent = {session: last for session, last in last_days if last < today - timedelta(days=1)}
    if not silent:
        return
    for session, kept in recent.filter(session__in=silent).exclude(marks=[]).values_list("session", "marks"):
        if any(mark["data"]["mark"] == "session_end" for mark in kept):
            silent.pop(session, None)
    yield from silent.values()


def _read(archived: Archived, key: PartKey) -> PartManifest | None:
    """One bad manifest must not hide the others."""
    try:
        manifest = read_manifest(archived.store, key)
    except Damaged as error:
        log.error("manifest cannot be read", key=key.manifest, error=str(error))
        return None
    if manifest.environment != archived.environment:
        log.error("manifest of another environment", key=key.manifest, environment=manifest.environment)
        return None
    return manifest


@transaction.atomic
def _record(archived: Archived, found: Sequence[PartManifest], *, now_ns: int) -> None:
    # One writer for each feed at a time: what follows reads all rows of a day and writes their sums.
    Feed.objects.select_for_update().get(pk=archived.feed.pk)
    failpoints.reach("inventory.before_rows")
    ArchivePart.objects.bulk_create(
        [part_row(archived.feed, manifest) for manifest in found], ignore_conflicts=True
    )
    failpoints.reach("inventory.mid_rows")
    tickers: dict[date, set[str]] = {}
    for manifest in found:
        tickers.setdefault(manifest.key.on, set()).update(manifest.tickers)
    for on, names in tickers.items():
        recount(archived, on, names)
    sessions = {manifest.session for manifest in found}
    turned = [at.recv_ns for manifest in found for at in manifest.marks if _is_turn(at)]
    marked = {manifest.session for manifest in found if manifest.marks}
    changed = renew(archived, sessions, marked | sessions_touched(archived.feed, turned), now_ns=now_ns)
    renew_days(archived, changed | set(tickers), now_ns=now_ns)


def _catch_up_sessions(archived: Archived) -> None:
    """Parts that were recorded before sessions had rows: without them no loss would find its end."""
    if CaptureSession.objects.filter(feed=archived.feed).exists() or not archived.parts.exists():
        return
    names = archived.parts.order_by().values_list("session", flat=True).distinct()
    for session in names:
        renew_sessions(archived, {session}, known_sessions(archived, {session}))


def renew(archived: Archived, sessions: set[str], lossy: set[str], *, now_ns: int) -> set[date]:
    """Rows of these sessions, and of the gaps of the lossy ones; returns the days on which gaps changed."""
    # An assumed crash is over as soon as anything comes of its session, be it without a mark.
    assumed = DataGap.objects.filter(session__in=sessions, detail__assumed=True)
    lossy = lossy | set(assumed.values_list("session", flat=True))
    known = known_sessions(archived, sessions | lossy)
    renew_sessions(archived, sessions, known)
    return renew_gaps(archived, lossy, known.of(lossy), now_ns=now_ns) if lossy else set()


def _is_turn(at: MarkAt) -> bool:
    return isinstance(at.decode(), _TURNS)


def part_row(feed: Feed, manifest: PartManifest) -> ArchivePart:
    """A committed part, as its manifest states it."""
    return ArchivePart(
        feed=feed,
        environment=manifest.environment,
        date=manifest.key.on,
        session=manifest.session,
        first_n=manifest.first_n,
        last_n=manifest.last_n,
        key=manifest.key.data,
        rows=manifest.rows,
        raw_bytes=manifest.raw_bytes,
        stored_bytes=manifest.stored_bytes,
        sha256=manifest.sha256,
        first_ns=manifest.first_recv_ns,
        last_ns=manifest.last_recv_ns,
        connector_version=manifest.connector_version,
        processor_version=manifest.shipper_version,
        marks=msgspec.json.decode(msgspec.json.encode(manifest.marks)),
    )


def _turn_of_day(archived: Archived, *, now_ns: int) -> None:
    """A day that is over is no longer in the making; a loss that goes on reaches into the new day."""
    today = datetime.fromtimestamp(now_ns // 1_000_000_000, timezone.now().tzinfo).date()
    raw = DataInventory.objects.filter(feed=archived.feed, data_type=DataInventory.DataType.RAW)
    stale = raw.filter(date__lt=today, status=DataInventory.Status.PROCESSING)
    going_on = DataGap.objects.filter(feed=archived.feed, gap_end=None, date__lt=today)
    if not stale.exists() and not going_on.exists():
        return
    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=archived.feed.pk)
        sessions = set(going_on.values_list("session", flat=True))
        changed = renew(archived, set(), sessions, now_ns=now_ns)
        renew_days(archived, changed | set(stale.values_list("date", flat=True)), now_ns=now_ns)


@transaction.atomic
def record_sealed_day(archived: Archived, on: date, *, now_ns: int) -> bool:
    """Make the rows of a day's sealed versions; False where it has none. To be called after each seal."""
    Feed.objects.select_for_update().get(pk=archived.feed.pk)
    if not seal_manifest.versions(archived.store, archived.feed.name, on):
        return False
    recount_after = record_sealed(archived, on)
    if recount_after is not None:
        recount(archived, on)
        renew_days(archived, [on], now_ns=now_ns)
    return True

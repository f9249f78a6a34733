"""Sessions that fell silent without an end: their gap row opens though nobody is left to write a mark."""

from datetime import datetime

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from archive.day_rows import renew_days
from archive.gap_rows import silent_sessions, unix_ns
from archive.inventory import archived_by, renew
from archive.known_sessions import Archived, known_sessions
from archive.session_marks import SILENT_NS
from archive.store import Store
from registry.models import CaptureSession, DataGap, Feed


def record_silence(store: Store, feed: str, environment: str, *, now: datetime | None = None) -> set[str]:
    """Open a `process_crash` row for each session of which nothing was committed for 120 s; returns them.

    The row has the number that the session's next record would have. The crash mark that the shipper writes replaces
    it; records that come after all take it back.
    """
    archived = archived_by(store, feed, environment)
    now_ns = unix_ns(now or timezone.now())
    quiet = _quiet(archived, now_ns)
    if not quiet:
        return set()
    with transaction.atomic():
        Feed.objects.select_for_update().get(pk=archived.feed.pk)
        silent = silent_sessions(known_sessions(archived, quiet), now_ns=now_ns)
        changed = renew(archived, set(), silent, now_ns=now_ns) if silent else set()
        renew_days(archived, changed, now_ns=now_ns)
    return silent


def _quiet(archived: Archived, now_ns: int) -> set[str]:
    """Sessions without an end whose records stop too long ago and have no such row yet."""
    running = CaptureSession.objects.filter(
        feed=archived.feed, environment=archived.environment, ended_at=None
    )
    names = set(running.values_list("session", flat=True))
    told = DataGap.objects.filter(session__in=names, detail__assumed=True).values_list("session", flat=True)
    names -= set(told)
    last = (
        archived.parts.filter(session__in=names).order_by().values_list("session").annotate(at=Max("last_ns"))
    )
    return {session for session, at in last if now_ns - at >= SILENT_NS}

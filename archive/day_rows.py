"""Status, score and gap count of inventory rows, from all that is known of their day."""

from collections.abc import Iterable
from datetime import date

import structlog
from django.db.models import Sum

from archive.coverage import evidence
from archive.day_report import DayReport, Sealed, Told, report
from archive.known_sessions import Archived, first_record_ns, known_sessions, sessions_of_day
from archive.layout import day_of
from registry.calendar import DAY_NS, Window, midnight_ns
from registry.models import CaptureSession, DataGap, DataInventory, DataQualityIssue, Feed, SealedDay
from registry.quality import share_of, status
from registry.refusal import Refused

log = structlog.get_logger()


def renew_days(archived: Archived, days: Iterable[date], *, now_ns: int) -> None:
    """Bring status, score and gap count of these days up to date; by bulk updates: a recount writes no audit row."""
    today = day_of(now_ns)
    for on in sorted(set(days)):
        rows = DataInventory.objects.filter(feed=archived.feed, date=on)
        if not rows.exists():
            continue
        gap_count = DataGap.objects.filter(feed=archived.feed, date=on).count()
        # A day in the making has no score, and is asked for at every new part: it is not judged.
        if on >= today:
            rows.update(
                status=DataInventory.Status.PROCESSING,
                quality_score=None,
                captured_share=None,
                gap_count=gap_count,
            )
            continue
        judged = report_of(archived, on, now_ns=now_ns)
        if judged.unexplained:
            log.error(
                "nothing explains a hole", feed=archived.feed.name, day=str(on), spans=judged.unexplained
            )
        score = judged.score.value if has_known_calendar(archived.feed, on) else None
        rows.update(
            status=status(judged.facts),
            quality_score=score,
            captured_share=share_of(judged.facts.captured),
            gap_count=gap_count,
            connector_version=_connector_version(archived, on),
        )


def _connector_version(archived: Archived, on: date) -> str | None:
    """That of the session which began last among the day's."""
    rows = CaptureSession.objects.filter(session__in=sessions_of_day(archived, on))
    return rows.order_by("-started_at").values_list("connector_version", flat=True).first()


def report_of(archived: Archived, on: date, *, now_ns: int) -> DayReport:
    """A day, judged by what the database and the sealed days say of it."""
    known = known_sessions(archived, sessions_of_day(archived, on))
    since_ns = first_record_ns(archived, known)
    seen = evidence(known.marks, known.runs, now_ns=now_ns, since_ns=since_ns)
    return report(seen, on, _told(archived.feed, on), closed=closed_on(archived.feed, on))


def closed_on(feed: Feed, on: date) -> list[Window]:
    """When no trading was expected; a calendar that cannot be read says nothing."""
    start = midnight_ns(on)
    try:
        return feed.calendars.all().planned(start, start + DAY_NS)
    except Refused:
        return []


def has_known_calendar(feed: Feed, on: date) -> bool:
    """Whether the trading time of the day is known: without it there is no score."""
    try:
        feed.calendars.all().on(on)
    except Refused:
        return False
    return True


def _told(feed: Feed, on: date) -> Told:
    issues = DataQualityIssue.objects.filter(feed=feed, date=on)
    errors = issues.filter(severity=DataQualityIssue.Severity.ERROR)
    raw = DataInventory.objects.filter(feed=feed, date=on, data_type=DataInventory.DataType.RAW).first()
    return Told(
        errors=errors.aggregate(total=Sum("count"))["total"] or 0,
        records=(raw.record_count or 0) if raw else 0,
        integrity=issues.filter(issue_type=DataQualityIssue.Type.INTEGRITY).count(),
        sealed=sealed_on(feed, on),
    )


def sealed_on(feed: Feed, on: date) -> Sealed | None:
    """The latest sealed version of the day."""
    row = SealedDay.objects.filter(feed=feed, date=on).order_by("-version").first()
    if row is None:
        return None
    is_verified = row.verified_at is not None and row.verify_result in ("", "ok")
    return Sealed(
        row.version, row.is_partial, is_verified, row.verify_result, row.nats_lost_count, row.overlap_count
    )

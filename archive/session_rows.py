"""Rows of capture sessions, from the marks and records that are committed of them."""

from collections.abc import Collection, Iterable, Sequence

from archive.gap_rows import instant
from archive.known_sessions import Archived, Known
from archive.session_marks import Run, SessionMark, by_session
from registry.models import CaptureSession
from streaming import marks

_DERIVED = (
    "feed",
    "environment",
    "environment_version",
    "config_hash",
    "feed_version",
    "connector_version",
    "subscribe",
    "started_at",
    "ended_at",
    "end_reason",
    "first_n",
    "last_n",
    "records",
)


def renew_sessions(archived: Archived, sessions: Collection[str], known: Known) -> None:
    """Make the rows of these sessions what is committed of them."""
    told = by_session(known.marks)
    rows = [
        _row(archived, runs, told.get(session, []))
        for session in sorted(sessions)
        if (runs := [run for run in known.runs if run.session == session])
    ]
    CaptureSession.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["session"], update_fields=_DERIVED
    )


def _row(archived: Archived, runs: Sequence[Run], own: Sequence[SessionMark]) -> CaptureSession:
    start, end = _first(own, marks.SessionStart), _first(own, marks.SessionEnd)
    told = start.mark if start and isinstance(start.mark, marks.SessionStart) else None
    over = end.mark if end and isinstance(end.mark, marks.SessionEnd) else None
    return CaptureSession(
        session=runs[0].session,
        feed=archived.feed,
        environment=archived.environment,
        environment_version=told.environment_version if told else 0,
        config_hash=told.config_hash if told else "",
        feed_version=told.feed_version if told else "",
        connector_version=told.code_version if told else "",
        subscribe=told.subscribe if told else {},
        started_at=instant(runs[0].first_ns),
        ended_at=instant(end.recv_ns) if end else None,
        end_reason=over.reason if over else "",
        first_n=runs[0].first_n,
        last_n=runs[-1].last_n,
        records=sum(run.last_n - run.first_n + 1 for run in runs),
    )


def _first(own: Iterable[SessionMark], kind: type[marks.Mark]) -> SessionMark | None:
    return next((at for at in own if isinstance(at.mark, kind)), None)

"""Gap rows from the marks of the recorded parts: the one function that events, reconcile and reindex share."""

from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from django.db.models import Q, QuerySet

from archive.gaps import DayOfLoss, Loss, SessionMark, by_day, losses
from registry.models import ArchivePart, DataGap, DataInventory, Feed
from streaming import marks

# What follows from the marks; `resolved` and `notes` belong to people.
_DERIVED = (
    "feed",
    "inventory",
    "gap_start",
    "gap_end",
    "gap_type",
    "connection",
    "sid",
    "symbols",
    "planned",
    "healable",
    "fault",
    "detail",
)


def sessions_touched(feed: Feed, ready_ns: Collection[int]) -> set[str]:
    """Sessions whose gaps may end at one of these moments of readiness: open ones, and those that end later."""
    if not ready_ns:
        return set()
    gaps = DataGap.objects.filter(Q(gap_end=None) | Q(gap_end__gte=instant(min(ready_ns))), feed=feed)
    return set(gaps.values_list("session", flat=True))


def renew_gaps(feed: Feed, environment: str, sessions: set[str], *, today: date) -> None:
    """Make the gap rows of these sessions what their marks say; call it inside a transaction."""
    known = ArchivePart.objects.filter(feed=feed, environment=environment).exclude(marks=[])
    own = list(_marks(known.filter(session__in=sessions)))
    begun = [at.mark.from_ns for at in own if isinstance(at.mark, marks.GapOpen)]
    others: Iterator[SessionMark] = iter(())
    if begun:
        others = _marks(known.exclude(session__in=sessions).filter(last_ns__gte=min(begun)))
    ready = [at for at in others if isinstance(at.mark, marks.ConnectionReady)]
    rows = [
        (loss, part)
        for loss in losses([*own, *ready])
        if loss.session in sessions
        for part in by_day(loss, today=today)
    ]
    _store(feed, sessions, rows)


def count_gaps(feed: Feed, days: Collection[date]) -> None:
    """Bring `gap_count` of these days up to date."""
    for on in days:
        count = DataGap.objects.filter(feed=feed, date=on).count()
        DataInventory.objects.filter(feed=feed, data_type=DataInventory.DataType.RAW, date=on).update(
            gap_count=count
        )


def _store(feed: Feed, sessions: set[str], rows: list[tuple[Loss, DayOfLoss]]) -> None:
    before = DataGap.objects.filter(session__in=sessions)
    held = {(row.session, row.gap_number, row.date): row.pk for row in before}
    now = {(loss.session, loss.number, part.on) for loss, part in rows}
    # A loss that was thought to go on was over before these days: its end became known late.
    known = {key[:2] for key in now}
    gone = [pk for key, pk in held.items() if key[:2] in known and key not in now]
    DataGap.objects.filter(pk__in=gone).delete()

    days = {part.on for _, part in rows}
    raw = DataInventory.objects.filter(feed=feed, data_type=DataInventory.DataType.RAW, date__in=days)
    inventory = {row.date: row for row in raw}
    DataGap.objects.bulk_create(
        [_row(feed, loss, part, inventory.get(part.on)) for loss, part in rows],
        update_conflicts=True,
        unique_fields=["session", "gap_number", "date"],
        update_fields=_DERIVED,
    )
    count_gaps(feed, days | {on for _, _, on in held})


def _row(feed: Feed, loss: Loss, part: DayOfLoss, inventory: DataInventory | None) -> DataGap:
    mark = loss.mark
    return DataGap(
        feed=feed,
        inventory=inventory,
        date=part.on,
        gap_start=instant(part.start_ns),
        gap_end=None if part.end_ns is None else instant(part.end_ns),
        gap_type=mark.cause,
        session=loss.session,
        gap_number=loss.number,
        connection=mark.connection or None,
        sid=mark.sid or None,
        symbols=mark.tickers,
        planned=mark.planned,
        healable=mark.healable,
        fault=mark.fault if mark.fault in DataGap.Fault.values else DataGap.Fault.UNKNOWN,
        detail=_detail(mark),
    )


def _detail(mark: marks.GapOpen) -> dict[str, Any]:
    detail = {**mark.detail, "after_n": mark.after_n}
    if mark.unpublished_from:
        detail |= {"unpublished_from": mark.unpublished_from, "unpublished_to": mark.unpublished_to}
    return detail


def _marks(parts: QuerySet[ArchivePart]) -> Iterator[SessionMark]:
    for session, kept in parts.values_list("session", "marks"):
        for at in kept:
            yield SessionMark(session, at["n"], at["recv_ns"], msgspec.convert(at["data"], marks.Mark))


def instant(received_ns: int) -> datetime:
    """A time in Unix ns as the database keeps it, to the microsecond below."""
    seconds, rest = divmod(received_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)

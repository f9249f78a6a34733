"""Gap rows from the marks of sessions: the one function that events, reconcile and reindex share."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any

from django.db.models import F, Q

from archive.gaps import DayOfLoss, Loss, by_day, losses
from archive.known_sessions import Archived, Known, known_sessions
from archive.layout import day_of
from archive.session_marks import FOR_EVER_NS, SessionMark, captured, has_ended, last_runs, with_assumed_ends
from registry.models import CaptureSession, DataGap, DataInventory, Feed
from streaming import marks

# What follows from the marks; `resolved` and `notes` belong to people.
_DERIVED = (
    "feed_id",
    "inventory_id",
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
_OF_PEOPLE = ("resolved", "resolved_at", "notes")
Key = tuple[str, int, date]
SESSIONS_AT_ONCE = 10


def sessions_touched(feed: Feed, turned_ns: Collection[int]) -> set[str]:
    """Sessions whose gaps may end otherwise now that a connection was ready or ended at these moments."""
    if not turned_ns:
        return set()
    gaps = DataGap.objects.filter(Q(gap_end=None) | Q(gap_end__gte=instant(min(turned_ns))), feed=feed)
    return set(gaps.values_list("session", flat=True))


def renew_gaps(archived: Archived, sessions: Collection[str], own: Known, *, now_ns: int) -> set[date]:
    """Make the gap rows of these sessions what their marks say; returns the days on which something changed.

    `own` is what is known of them. Call it inside a transaction.
    """
    known = with_assumed_ends(own.marks, own.runs, now_ns=now_ns)
    others = _others(archived, sessions, known, now_ns=now_ns)
    found = losses(at for one in (*known.values(), *others.values()) for at in one)
    today = day_of(now_ns)
    rows = [(loss, part) for loss in found if loss.session in sessions for part in by_day(loss, today=today)]
    return _store(archived.feed, sessions, rows)


def _others(
    archived: Archived,
    sessions: Collection[str],
    known: Mapping[str, list[SessionMark]],
    *,
    now_ns: int,
) -> dict[str, list[SessionMark]]:
    """The sessions that may end the losses which these leave open."""
    begun = [
        at.mark.from_ns
        for one in known.values()
        if has_ended(one)
        for at in one
        if isinstance(at.mark, marks.GapOpen)
    ]
    if not begun:
        return {}
    found: dict[str, list[SessionMark]] = {}
    for batch, following_ns in _in_order(archived, sessions, from_ns=min(begun)):
        other = known_sessions(archived, batch)
        found |= with_assumed_ends(other.marks, other.runs, now_ns=now_ns)
        spans = (span for one in found.values() for span in captured(one))
        ends = (max(start, max(begun)) for start, end in spans if end > max(begun))
        # Nobody who starts later can be ready earlier.
        if following_ns is not None and min(ends, default=FOR_EVER_NS) <= following_ns:
            break
    return found


def _in_order(
    archived: Archived, sessions: Collection[str], *, from_ns: int
) -> Iterator[tuple[list[str], int | None]]:
    """Other sessions that recorded then or later, a few at a time, and when the one after these began."""
    rows = CaptureSession.objects.filter(feed=archived.feed, environment=archived.environment)
    alive = rows.filter(Q(ended_at=None) | Q(ended_at__gte=instant(from_ns))).exclude(session__in=sessions)
    ordered = list(alive.order_by("started_at", "session").values_list("session", "started_at"))
    for start in range(0, len(ordered), SESSIONS_AT_ONCE):
        following = ordered[start + SESSIONS_AT_ONCE : start + SESSIONS_AT_ONCE + 1]
        batch = [session for session, _ in ordered[start : start + SESSIONS_AT_ONCE]]
        yield batch, unix_ns(following[0][1]) if following else None


def _store(feed: Feed, sessions: Collection[str], rows: Iterable[tuple[Loss, DayOfLoss]]) -> set[date]:
    held: dict[Key, DataGap] = {_key(row): row for row in DataGap.objects.filter(session__in=sessions)}
    rows = list(rows)
    raw = DataInventory.objects.filter(
        feed=feed, data_type=DataInventory.DataType.RAW, date__in={part.on for _, part in rows}
    )
    inventory = {row.date: row for row in raw}
    now = {_key(row): row for row in (_row(feed, *one, inventory.get(one[1].on)) for one in rows)}
    # A loss thought to go on was over before these days; an assumed crash did not happen, or has its real mark.
    told = {key[:2] for key in now}
    gone = [
        row for key, row in held.items() if key not in now and (key[:2] in told or row.detail.get("assumed"))
    ]
    fresh = [row for key, row in now.items() if key not in held]
    other = [row for key, row in now.items() if key in held and _facts(row) != _facts(held[key])]
    _hand_over(gone, fresh)
    DataGap.objects.filter(pk__in=[row.pk for row in gone]).delete()
    DataGap.objects.bulk_create(
        [*fresh, *other],
        update_conflicts=True,
        unique_fields=["session", "gap_number", "date"],
        update_fields=_DERIVED,
    )
    _resolve(loss for loss, _ in rows if loss.is_healed)
    return {row.date for row in (*gone, *fresh, *other)}


def _resolve(healed: Iterable[Loss]) -> None:
    """Nothing is missing of these any more; what people said of one stays."""
    for loss in healed:
        rows = DataGap.objects.filter(session=loss.session, gap_number=loss.number, resolved_at=None)
        told = (
            f"every trade that REST knows of this time is archived; {loss.healed} had not come by the stream"
        )
        rows.update(resolved=True, resolved_at=F("gap_end"), notes=told)


def _hand_over(gone: Iterable[DataGap], fresh: Iterable[DataGap]) -> None:
    """What people wrote on an assumed crash belongs to the real one, which has another number."""
    by_day_and_kind = {(row.session, row.date, row.gap_type): row for row in fresh}
    for row in gone:
        heir = by_day_and_kind.get((row.session, row.date, row.gap_type))
        if heir is not None and row.detail.get("assumed"):
            for name in _OF_PEOPLE:
                setattr(heir, name, getattr(row, name))


def _key(row: DataGap) -> Key:
    return row.session, row.gap_number, row.date


def _facts(row: DataGap) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _DERIVED)


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
        detail=_detail(loss),
    )


def _detail(loss: Loss) -> dict[str, Any]:
    mark = loss.mark
    detail = {**mark.detail, "after_n": mark.after_n}
    if mark.channel or mark.channels:
        detail["channel"] = mark.channel or ",".join(mark.channels)
    if loss.healed is not None:
        detail["trades_healed"] = loss.healed
    if mark.unpublished_from:
        detail |= {"unpublished_from": mark.unpublished_from, "unpublished_to": mark.unpublished_to}
    return detail


def silent_sessions(own: Known, *, now_ns: int) -> set[str]:
    """Sessions without an end of which nothing has come for so long that they count as dead."""
    known = with_assumed_ends(own.marks, own.runs, now_ns=now_ns)
    told = {at.session for at in own.marks if isinstance(at.mark, marks.SessionEnd)}
    return {
        session
        for session in last_runs(own.runs)
        if session not in told and has_ended(known.get(session, ()))
    }


def instant(received_ns: int) -> datetime:
    """A time in Unix ns as the database keeps it, to the microsecond below."""
    seconds, rest = divmod(received_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)


def unix_ns(moment: datetime) -> int:
    """An instant in Unix ns, exact to the microsecond."""
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000

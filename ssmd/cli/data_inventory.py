"""`ssmd data inventory`: a line a day, days without anything among them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, TextIO

from django.db.models import QuerySet
from django.utils import timezone

from registry.models import DataInventory
from registry.preflight import feed_known, feed_or_default
from registry.quality import LEAST_CAPTURED
from registry.refusal import ExitCode, Reason, Refused, require
from ssmd.cli.columns import columns
from ssmd.cli.table import render, size

_SHOWN = ("Date", "Raw", "Normalized", "Status", "Quality", "Gaps")
_CAPTURED = "Captured"  # among the first columns once a day lacks so much that it is not complete
_WIDE = (*_SHOWN, _CAPTURED, "Records", "Markets")
# A day is as good as its worst part.
_WORST_FIRST = ("failed", "processing", "partial", "complete")
_MOST_MISSING = 7  # days in a row that are shown one by one
_DAY = timedelta(days=1)


def show_inventory(
    *,
    feed: str | None,
    first: date | None,
    last: date | None,
    status: str | None,
    wide: bool,
    output: str,
    stdout: TextIO,
) -> None:
    """One line a day for people; one row a day, data type and schema version otherwise."""
    name = feed_or_default(feed)
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    if first and last and first > last:
        raise Refused(
            [Reason(f"--from {first} is after --to {last}", "Exchange them.")], exit_code=ExitCode.USAGE
        )
    rows = list(_inventory(name, first, last))
    if output != "table":
        kept = [row for row in rows if status in (None, row.status)]
        stdout.write(render([{"feed": name, **columns(row)} for row in kept], ("feed", "date"), as_=output))
        return
    days = [_day(on, list(of_day)) for on, of_day in groupby(rows, key=lambda row: row.date)]
    shown = (
        list(_with_missing(days, first, last))
        if status is None
        else [one for one in days if one["Status"] == status]
    )
    stdout.write(f"Feed: {name}\nDate Range: {_range(rows, first, last)}\n\n")
    is_thin = any(row.captured_share is not None and row.captured_share < LEAST_CAPTURED for row in rows)
    stdout.write(render(shown, _WIDE if wide else (*_SHOWN, _CAPTURED) if is_thin else _SHOWN))


def _inventory(name: str, first: date | None, last: date | None) -> QuerySet[DataInventory]:
    given = {"date__gte": first, "date__lte": last}
    wanted = {lookup: value for lookup, value in given.items() if value is not None}
    return DataInventory.objects.filter(feed__name=name, **wanted).order_by(
        "date", "data_type", "schema_version"
    )


def _range(rows: Sequence[DataInventory], first: date | None, last: date | None) -> str:
    if not rows and not (first and last):
        return "nothing recorded"
    return f"{first or rows[0].date} to {last or rows[-1].date}"


def _day(on: date, rows: list[DataInventory]) -> dict[str, Any]:
    """One day as the design's table shows it; of several schema versions the latest counts."""
    latest = {row.data_type: row for row in rows}
    status = min((row.status for row in latest.values()), key=_WORST_FIRST.index)
    scores = [row.quality_score for row in latest.values() if row.quality_score is not None]
    has_any = any(row.byte_size for row in latest.values())
    return {
        "Date": on,
        "Raw": size(_bytes(latest.get("raw"))),
        "Normalized": size(_bytes(latest.get("normalized"))),
        "Status": status,
        "Quality": _score(scores),
        "Gaps": max(row.gap_count for row in latest.values()) if has_any else None,
        _CAPTURED: _share([row.captured_share for row in latest.values() if row.captured_share is not None]),
        "Records": _most(row.record_count for row in latest.values()),
        "Markets": _most(row.symbol_count for row in latest.values()),
    }


def _with_missing(
    days: Sequence[dict[str, Any]], first: date | None, last: date | None
) -> Iterator[dict[str, Any]]:
    """The days asked for (else from the first to the last known): a day that is not there must be seen."""
    if not days and not first:
        return
    due = first or days[0]["Date"]
    for one in days:
        yield from _missing(due, one["Date"])
        yield one
        due = one["Date"] + _DAY
    if last is not None:
        yield from _missing(due, min(last, timezone.now().date()) + _DAY)


def _missing(start: date, end: date) -> Iterator[dict[str, Any]]:
    count = (end - start).days
    if count <= _MOST_MISSING:
        yield from (_nothing(start + number * _DAY) for number in range(count))
        return
    yield _nothing(start)
    yield {"Date": "...", "Status": f"{count - 2} days missing"}
    yield _nothing(end - _DAY)


def _nothing(on: date) -> dict[str, Any]:
    return {"Date": on, "Status": "missing"}


def _bytes(row: DataInventory | None) -> int | None:
    return row.byte_size if row else None


def _most(counts: Iterable[int | None]) -> str | None:
    """Raw frames or what became of them, whichever is more; with thousands apart."""
    known = [count for count in counts if count is not None]
    return f"{max(known):,}" if known else None


def _share(shares: Sequence[Decimal]) -> str | None:
    return f"{min(shares) * 100:.2f} %" if shares else None


def _score(scores: Sequence[Decimal]) -> str | None:
    return f"{min(scores):.2f}" if scores else None

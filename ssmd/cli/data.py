"""What was recorded and what was lost."""

from argparse import _SubParsersAction
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, TextIO

from django.db.models import QuerySet

from registry.models import DataGap, DataInventory
from registry.preflight import feed_known, feed_or_default
from registry.refusal import ExitCode, Reason, Refused, require
from ssmd.cli.columns import columns
from ssmd.cli.data_seal import add_verbs as add_seal_verbs
from ssmd.cli.options import add_feed, add_output, count, day
from ssmd.cli.table import render, size

_GAPS_SHOWN = (
    "gap_start",
    "gap_end",
    "duration",
    "gap_type",
    "because",
    "fault",
    "planned",
    "healable",
    "resolved",
    "symbols",
    "notes",
)
_DAYS_SHOWN = ("Date", "Raw", "Normalized", "Records", "Markets", "Status", "Quality", "Gaps")
_LONGEST_REASON = 60
# A day is as good as its worst part.
_WORST_FIRST = ("failed", "processing", "partial", "complete")


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd data inventory|gaps|seal|normalize|verify|gc`."""
    actions = groups.add_parser("data", help=__doc__, description=__doc__).add_subparsers(
        metavar="VERB", required=True
    )
    inventory = actions.add_parser("inventory", help="Which days there are, how large and how good")
    inventory.add_argument("--from", dest="first", type=day, metavar="DATE", help="first day")
    inventory.add_argument("--to", dest="last", type=day, metavar="DATE", help="last day, included")
    inventory.add_argument("--status", choices=DataInventory.Status.values)
    gaps = actions.add_parser("gaps", help="What was lost, when and why")
    gaps.add_argument("--date", dest="on", type=day, metavar="DATE", help="only this UTC day")
    gaps.add_argument("--limit", type=count, default=1000, metavar="N", help="the latest N (default: 1000)")
    add_seal_verbs(actions)
    for parser, action in ((inventory, show_inventory), (gaps, list_gaps)):
        add_feed(parser)
        add_output(parser)
        parser.set_defaults(run=action)


def show_inventory(
    *,
    feed: str | None,
    first: date | None,
    last: date | None,
    status: str | None,
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
    rows = list(_inventory(name, first, last, status))
    if output != "table":
        stdout.write(render([{"feed": name, **columns(row)} for row in rows], ("feed", "date"), as_=output))
        return
    days = [_day(on, list(of_day)) for on, of_day in groupby(rows, key=lambda row: row.date)]
    stdout.write(f"Feed: {name}\nDate Range: {_range(rows, first, last)}\n\n{render(days, _DAYS_SHOWN)}")


def _inventory(
    name: str, first: date | None, last: date | None, status: str | None
) -> QuerySet[DataInventory]:
    given = {"date__gte": first, "date__lte": last, "status": status}
    wanted = {lookup: value for lookup, value in given.items() if value is not None}
    return DataInventory.objects.filter(feed__name=name, **wanted).order_by(
        "date", "data_type", "schema_version"
    )


def _range(rows: list[DataInventory], first: date | None, last: date | None) -> str:
    if not rows and not (first and last):
        return "nothing recorded"
    return f"{first or rows[0].date} to {last or rows[-1].date}"


def _day(on: date, rows: list[DataInventory]) -> dict[str, Any]:
    """One day as the design's table shows it; of several schema versions the latest counts."""
    latest = {row.data_type: row for row in rows}
    status = min((row.status for row in latest.values()), key=_WORST_FIRST.index)
    scores = [row.quality_score for row in latest.values() if row.quality_score is not None]
    return {
        "Date": on,
        "Raw": size(_bytes(latest.get("raw"))),
        "Normalized": size(_bytes(latest.get("normalized"))),
        "Records": _most(row.record_count for row in latest.values()),
        "Markets": _most(row.symbol_count for row in latest.values()),
        "Status": status,
        "Quality": _score(scores),
        "Gaps": max(row.gap_count for row in latest.values()),
    }


def _bytes(row: DataInventory | None) -> int | None:
    return row.byte_size if row else None


def _most(counts: Iterable[int | None]) -> str:
    """Raw frames or what became of them, whichever is more; with thousands apart."""
    known = [count for count in counts if count is not None]
    return f"{max(known):,}" if known else "-"


def _score(scores: Iterable[Decimal]) -> str:
    return f"{min(scores, default=Decimal(-1)):.2f}".replace("-1.00", "-")


def list_gaps(
    *, feed: str | None, on: date | None, limit: int, output: str, stdout: TextIO, stderr: TextIO
) -> None:
    """Gaps in order of time, the latest `limit`; an open one has no end."""
    name = feed_or_default(feed)
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    gaps = DataGap.objects.filter(feed__name=name)
    gaps = gaps.filter(date=on) if on else gaps
    latest = list(gaps.order_by("-gap_start", "-gap_number")[:limit])[::-1]
    if output == "table":
        shown = [_shown(gap) for gap in latest]
        stdout.write(render(shown, _GAPS_SHOWN) if shown else "No gaps.\n")
    else:
        stdout.write(render([{"feed": name, **columns(gap)} for gap in latest], _GAPS_SHOWN, as_=output))
    if (total := gaps.count()) > len(latest):
        stderr.write(f"The latest {len(latest)} of {total}; --limit {total} shows all.\n")


def _shown(gap: DataGap) -> dict[str, Any]:
    """A gap for people: how long, and what was said when it began."""
    lasted = gap.gap_end - gap.gap_start if gap.gap_end else None
    return {
        **columns(gap),
        "gap_end": gap.gap_end or "goes on",
        "duration": f"{lasted.total_seconds():.3f} s" if lasted is not None else None,
        "because": because(gap.detail),
        "symbols": gap.symbols or "all",
    }


def because(detail: Mapping[str, Any]) -> str:
    """What the venue or the network said: close code, HTTP status and the reason given."""
    said = [f"{name} {detail[name]}" for name in ("code", "status") if detail.get(name)]
    if "expected" in detail:
        said.append(f"expected {detail['expected']}, got {detail.get('received')}")
    said += [str(detail[name])[:_LONGEST_REASON] for name in ("reason", "note") if detail.get(name)]
    return ", ".join(said)

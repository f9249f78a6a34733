"""`ssmd data quality`: a day's condition, its score with every term, its coverage, and what was wrong in its data."""

from collections.abc import Mapping
from datetime import date
from typing import Any, TextIO

from registry.models import DataGap, DataInventory, DataQualityIssue, Feed
from registry.preflight import feed_known, feed_or_default
from registry.quality import condition, share_of, status
from registry.refusal import ExitCode, Reason, require
from ssmd.cli.durations import lasting
from ssmd.cli.table import render, render_one

_ISSUES = ("Issue", "Severity", "Count", "Session", "Record", "Sample")
_LONGEST_SAMPLE = 60


def show_quality(*, feed: str | None, on: date | None, output: str, stdout: TextIO) -> None:
    """Judge the day anew by all that is known of it; without a day, the latest."""
    name = feed_or_default(feed)
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    row = Feed.objects.get(name=name)
    day = on or latest_day(row)
    require([] if day and is_known(row, day) else [nothing_known(row, day)], exit_code=ExitCode.NOT_FOUND)
    assert day
    told = quality_of(name, day)
    if output != "table":
        stdout.write(render_one(told, as_=output))
        return
    stdout.write(_in_words(told))


def latest_day(feed: Feed) -> date | None:
    """The latest day of which something is recorded."""
    return DataInventory.objects.filter(feed=feed).order_by("-date").values_list("date", flat=True).first()


def is_known(feed: Feed, on: date) -> bool:
    """Whether anything is recorded of the day."""
    return DataInventory.objects.filter(feed=feed, date=on).exists()


def nothing_known(feed: Feed, on: date | None) -> Reason:
    """Why a day cannot be judged."""
    latest = latest_day(feed)
    what = f"Nothing is recorded of {feed.name}" + (f" on {on}" if on else "")
    on_day = DataGap.objects.filter(feed=feed, date=on) if on else DataGap.objects.none()
    gaps = list(on_day.order_by("gap_start").values_list("gap_type", flat=True))
    what += f": the whole day lies in a gap, {', '.join(dict.fromkeys(gaps))}" if gaps else ""
    return Reason(
        what, f"Latest available: {latest}" if latest else "Nothing was ever recorded of this feed."
    )


def quality_of(name: str, on: date) -> dict[str, Any]:
    """The day as a document."""
    from django.utils import timezone

    from archive.day_rows import has_known_calendar, report_of
    from archive.gap_rows import unix_ns
    from ssmd.archived import archived_of

    archived = archived_of(name)
    judged = report_of(archived, on, now_ns=unix_ns(timezone.now()))
    coverage = {
        channel: {
            kind: sum(tile.end_ns - tile.start_ns for tile in tiles if tile.kind == kind) / 1e9
            for kind in sorted({str(tile.kind) for tile in tiles})
        }
        for channel, tiles in judged.tiles.items()
    }
    issues = DataQualityIssue.objects.filter(feed=archived.feed, date=on).order_by(
        "severity", "issue_type", "session"
    )
    return {
        "feed": name,
        "date": on,
        "condition": str(condition(judged.facts)),
        "status": status(judged.facts),
        "score": judged.score.value if has_known_calendar(archived.feed, on) else None,
        "score_terms": [
            {"name": term.name, "cost": round(float(term.cost), 6), "because": term.because}
            for term in judged.score.terms
        ],
        "seconds": (judged.span[1] - judged.span[0]) / 1e9,
        "trading_seconds": judged.trading_ns / 1e9,
        "captured_share": share_of(judged.facts.captured),
        "unexplained_seconds": sum(end - start for start, end in judged.unexplained) / 1e9,
        "coverage": coverage,
        "issues": [_issue(row) for row in issues],
    }


def _issue(row: DataQualityIssue) -> dict[str, Any]:
    return {
        "issue_type": row.issue_type,
        "severity": row.severity,
        "count": row.count,
        "session": row.session,
        "n": row.n,
        "sample_data": row.sample_data,
    }


def _in_words(told: Mapping[str, Any]) -> str:
    score = "not known: the calendar's holidays are not" if told["score"] is None else f"{told['score']:.2f}"
    if told["status"] == "processing":
        score += " so far"
    lines = [
        f"Feed: {told['feed']}",
        f"Date: {told['date']}",
        f"Condition: {told['condition']} ({told['status']})",
        f"Captured: {told['captured_share'] * 100:.2f} % of the trading time",
        f"Quality score: {score}",
        *(f"  - {term['cost']:.4f}  {term['name']}: {term['because']}" for term in told["score_terms"]),
        "",
        coverage_table(told["coverage"], told["seconds"]).rstrip(),
        "",
    ]
    issues = [_shown(issue) for issue in told["issues"]]
    return "\n".join(lines) + "\n" + (render(issues, _ISSUES) if issues else "No quality issues.\n")


def coverage_table(coverage: Mapping[str, Mapping[str, float]], seconds: float) -> str:
    """How much of the day each channel was captured; what was not, by kind."""
    kinds = sorted({kind for row in coverage.values() for kind in row} - {"captured"})
    rows = [
        {
            "Channel": channel,
            "Captured": lasting(row.get("captured", 0.0)),
            "Share": f"{int(row.get('captured', 0.0) / seconds * 10_000) / 100:.2f} %" if seconds else None,
            **{kind: lasting(row[kind]) if kind in row else None for kind in kinds},
        }
        for channel, row in coverage.items()
    ]
    return render(rows, ("Channel", "Captured", "Share", *kinds))


def _shown(issue: Mapping[str, Any]) -> dict[str, Any]:
    sample = issue["sample_data"]
    if isinstance(sample, dict):
        sample = next(iter(sample.values()), "")
    return {
        "Issue": issue["issue_type"],
        "Severity": issue["severity"],
        "Count": f"{issue['count']:,}",
        "Session": issue["session"],
        "Record": issue["n"],
        "Sample": str(sample or "")[:_LONGEST_SAMPLE],
    }

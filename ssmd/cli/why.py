"""Why a day is, or is not, complete: in plain words."""

from argparse import _SubParsersAction
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Any, TextIO

from registry.models import CaptureSession, DataQualityIssue, Feed
from registry.preflight import feed_known
from registry.quality import condition, lacking, status
from registry.refusal import ExitCode, Refused, require
from ssmd.cli.data_gaps import because
from ssmd.cli.data_quality import coverage_table, is_known, nothing_known, quality_of
from ssmd.cli.durations import clock, lasting
from ssmd.cli.options import add_output, day
from ssmd.cli.table import plain, render, render_one

if TYPE_CHECKING:
    from archive.day_report import DayReport, LossOfDay
    from archive.known_sessions import Archived
    from archive.seal_manifest import DayManifest

_GAPS = ("Start", "Lasted", "Gap", "Fault", "Planned", "Healable", "Cost", "Because")
_SESSIONS = ("Session", "From", "To", "Records", "End")


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd why FEED DATE`."""
    parser = groups.add_parser("why", help=__doc__, description=__doc__)
    parser.add_argument("feed", metavar="FEED")
    parser.add_argument("on", type=day, metavar="DATE", help="the UTC day")
    add_output(parser)
    parser.set_defaults(run=tell_why)


def tell_why(*, feed: str, on: date, output: str, stdout: TextIO) -> int:
    """Exit code 0: complete, 7: not complete, 4: nothing is recorded of that day."""
    require(feed_known(feed), exit_code=ExitCode.NOT_FOUND)
    row = Feed.objects.get(name=feed)
    require([] if is_known(row, on) else [nothing_known(row, on)], exit_code=ExitCode.NOT_FOUND)

    told = _document(feed, on)
    stdout.write("\n".join(_in_words(told)) + "\n" if output == "table" else render_one(told, as_=output))
    return 0 if told["status"] == "complete" else ExitCode.INCOMPLETE


def _document(feed: str, on: date) -> dict[str, Any]:
    from django.utils import timezone

    from archive.day_rows import report_of, sealed_on
    from archive.gap_rows import unix_ns
    from ssmd.archived import archived_of

    archived = archived_of(feed)
    judged = report_of(archived, on, now_ns=unix_ns(timezone.now()))
    sealed = sealed_on(archived.feed, on)
    manifest = _manifest(archived, on) if sealed else None
    commands = {verb: f"ssmd data {verb} --feed {feed} --date {on}" for verb in ("seal", "verify")}
    return {
        **quality_of(feed, on),
        "condition": str(condition(judged.facts)),
        "status": status(judged.facts),
        "lacking": lacking(judged.facts, **commands),
        "sessions": list(_sessions(archived, judged)),
        "gaps": [_gap(one) for one in judged.losses],
        "integrity": list(_integrity(archived.feed, judged, sealed.result if sealed else "")),
        "sealed_version": sealed.version if sealed else None,
        "nats_lost": sealed.nats_lost if sealed else None,
        "nats_only": manifest.nats_unexpected if manifest else None,
        "unfinished": manifest.unfinished if manifest else None,
        "overlap": sealed.overlap if sealed else None,
    }


def _manifest(archived: "Archived", on: date) -> "DayManifest | None":
    """The sealed day itself says more than its row; a store that cannot be reached says nothing."""
    from archive.files import Damaged
    from archive.objects import StoreError
    from archive.seal_manifest import latest

    with suppress(Damaged, Refused, StoreError):
        return latest(archived.store, archived.feed.name, on)
    return None


def _sessions(archived: "Archived", judged: "DayReport") -> Iterator[dict[str, Any]]:
    from archive.gap_rows import instant
    from archive.known_sessions import sessions_of_day

    start, end = judged.span
    rows = CaptureSession.objects.filter(session__in=sessions_of_day(archived, judged.on))
    for row in rows.order_by("started_at"):
        if row.started_at < instant(end) and (row.ended_at is None or row.ended_at >= instant(start)):
            yield {
                "session": row.session,
                "started_at": row.started_at,
                "ended_at": row.ended_at,
                "end_reason": row.end_reason,
                "records": row.records,
                "environment_version": row.environment_version,
                "connector_version": row.connector_version,
            }


def _gap(one: "LossOfDay") -> dict[str, Any]:
    mark = one.loss.mark
    end_ns = one.end_ns
    return {
        "gap_start_ns": one.start_ns,
        "gap_end_ns": end_ns,
        "gap_type": mark.cause,
        "session": one.loss.session,
        "gap_number": one.loss.number,
        "channel": mark.channel,
        "markets": len(mark.tickers),
        "fault": mark.fault,
        "planned": mark.planned,
        "healable": mark.healable,
        "cost": round(float(one.cost), 6),
        "because": because(mark.detail),
    }


def _integrity(feed: Feed, judged: "DayReport", verify_result: str) -> Iterator[str]:
    for start, end in judged.unexplained:
        yield f"from {clock(start)} to {clock(end)} nothing was recorded and no gap says why"
    if verify_result not in ("", "ok"):
        yield f"verification: {verify_result}"
    found = DataQualityIssue.objects.filter(
        feed=feed, date=judged.on, issue_type=DataQualityIssue.Type.INTEGRITY
    )
    for row in found:
        sample = row.sample_data if isinstance(row.sample_data, dict) else {}
        yield f"{sample.get('manifest') or sample.get('verify', row.session)}: {sample.get('error', row.sample_data)}"


def _in_words(told: dict[str, Any]) -> Iterator[str]:
    yield _headline(told)
    yield ""
    for failure in told["integrity"]:
        yield f"INTEGRITY FAILURE: {failure}"
    if told["integrity"]:
        yield ""
    yield coverage_table(told["coverage"], told["seconds"])
    yield from _of_sessions(told["sessions"])
    yield from _of_gaps(told)
    for issue in told["issues"]:
        yield f"Quality: {issue['count']:,} x {issue['issue_type']} ({issue['severity']})"
    if told["nats_lost"]:
        yield f"Bus: {told['nats_lost']:,} events that it lost were healed from raw."
    if told["nats_only"]:
        yield f"Bus: {told['nats_only']:,} events that only it had: their raw records are late, or lost."
    for session in told["unfinished"] or ():
        yield f"Unfinished: {session} has no end, and no later day goes on with it: more of this day may come."
    if told["overlap"]:
        yield f"Overlap: {told['overlap']:,} events that two sessions saw are archived once."
    yield from _of_score(told)
    if told["lacking"]:
        yield "\nTo be complete:"
        yield from (f"  - {words}" for words in told["lacking"])


def _headline(told: dict[str, Any]) -> str:
    what = f"{told['feed']} {told['date']} is {told['status']}"
    unplanned = sum(not gap["planned"] for gap in told["gaps"])
    share = f"{told['captured_share'] * 100:.2f} %"
    if told["status"] == "complete":
        version = f"sealed as version {told['sealed_version']}, verified"
        return f"{what}: {version}, without an unplanned gap, {share} of its trading time captured."
    found = [f"{unplanned} unplanned gap{'s' * (unplanned != 1)}"] if unplanned else []
    found += told["lacking"][:1] if not unplanned else [f"{share} of its trading time captured"]
    return f"{what} ({told['condition']}): {', '.join(found)}."


def _of_sessions(sessions: list[dict[str, Any]]) -> Iterator[str]:
    if not sessions:
        yield "No session recorded on this day.\n"
        return
    rows = [
        {
            "Session": one["session"],
            "From": one["started_at"],
            "To": one["ended_at"] or "no end yet",
            "Records": f"{one['records']:,}",
            "End": one["end_reason"],
        }
        for one in sessions
    ]
    yield render(rows, _SESSIONS)


def _of_gaps(told: dict[str, Any]) -> Iterator[str]:
    if not told["gaps"]:
        yield "No gaps.\n"
        return
    rows = [
        {
            "Start": clock(gap["gap_start_ns"]),
            "Lasted": _lasted(gap),
            "Gap": gap["gap_type"] + _of_what(gap),
            "Fault": gap["fault"],
            "Planned": gap["planned"],
            "Healable": gap["healable"],
            "Cost": f"{gap['cost']:.4f}" if gap["cost"] else None,
            "Because": gap["because"],
        }
        for gap in told["gaps"]
    ]
    yield render(rows, _GAPS)


def _lasted(gap: dict[str, Any]) -> str:
    if gap["gap_end_ns"] is None:
        return "goes on"
    return lasting((gap["gap_end_ns"] - gap["gap_start_ns"]) / 1e9)


def _of_what(gap: dict[str, Any]) -> str:
    if gap["markets"]:
        return f" ({gap['markets']} market{'s' * (gap['markets'] != 1)})"
    return f" ({gap['channel']})" if gap["channel"] else ""


def _of_score(told: dict[str, Any]) -> Iterator[str]:
    if told["score"] is None:
        yield "No quality score: the holidays of the feed's calendar are not known."
        return
    so_far = " so far" if told["status"] == "processing" else ""
    yield f"Quality score{so_far}: {plain(told['score']):.2f}: 1, less"
    for term in told["score_terms"]:
        yield f"  {term['cost']:.4f}  {term['name']}: {term['because']}"

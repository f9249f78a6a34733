"""`ssmd data gaps`: what was lost, in order of time."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TextIO

from registry.models import DataGap, Feed
from registry.preflight import feed_known, feed_or_default
from registry.refusal import ExitCode, require
from ssmd.cli.columns import columns
from ssmd.cli.data_quality import is_known, nothing_known
from ssmd.cli.durations import lasting
from ssmd.cli.table import render

_SHOWN = (
    "gap_start",
    "duration",
    "gap_type",
    "channels",
    "fault",
    "planned",
    "healable",
    "markets",
    "because",
)
_WIDE = (
    "gap_start", "gap_end", "duration", "gap_type", "because", "fault", "planned", "healable", "resolved", "session",
    "gap_number", "symbols", "notes",
)  # fmt: skip
_LONGEST_REASON = 60


def list_gaps(
    *, feed: str | None, on: date | None, limit: int, wide: bool, output: str, stdout: TextIO, stderr: TextIO
) -> None:
    """Gaps in order of time, the latest `limit`; an open one has no end."""
    name = feed_or_default(feed)
    require(feed_known(name), exit_code=ExitCode.NOT_FOUND)
    gaps = DataGap.objects.filter(feed__name=name)
    if on is not None:
        gaps, row = gaps.filter(date=on), Feed.objects.get(name=name)
        is_told = is_known(row, on) or gaps.exists()
        require([] if is_told else [nothing_known(row, on)], exit_code=ExitCode.NOT_FOUND)
    latest = list(gaps.order_by("-gap_start", "-gap_number")[:limit])[::-1]
    if output == "table":
        shown = [_shown(days) for days in _joined(latest)]
        stdout.write(render(shown, _WIDE if wide else _SHOWN) if shown else "No gaps.\n")
    else:
        stdout.write(render([{"feed": name, **columns(gap)} for gap in latest], _WIDE, as_=output))
    if (total := gaps.count()) > len(latest):
        stderr.write(f"The latest {len(latest)} of {total}; --limit {total} shows all.\n")


def _joined(gaps: Sequence[DataGap]) -> list[list[DataGap]]:
    """A gap over midnights is a row a day; to people it is one gap."""
    found: dict[tuple[str, int], list[DataGap]] = {}
    for gap in gaps:
        found.setdefault((gap.session, gap.gap_number), []).append(gap)
    return list(found.values())


def _shown(days: Sequence[DataGap]) -> dict[str, Any]:
    """A gap for people: how long, and what was said when it began."""
    gap, end = days[0], days[-1].gap_end
    lasted = end - gap.gap_start if end else None
    return {
        **columns(gap),
        "gap_end": end or "goes on",
        "duration": lasting(lasted.total_seconds()) if lasted is not None else "goes on",
        "because": because(gap.detail),
        "symbols": gap.symbols or "all",
        "markets": len(gap.symbols) or "all",
        "channels": str(gap.detail.get("channel") or "all").replace(",", ", "),
    }


def because(detail: Mapping[str, Any]) -> str:
    """What the venue or the network said: close code, HTTP status and the reason given."""
    said = [f"{name} {detail[name]}" for name in ("code", "status") if detail.get(name)]
    if "expected" in detail:
        said.append(f"expected {detail['expected']}, got {detail.get('received')}")
    if detail.get("assumed"):
        said.append("nothing came for 120 s, and no end mark")
    said += [str(detail[name])[:_LONGEST_REASON] for name in ("reason", "note") if detail.get(name)]
    if "trades_healed" in detail:
        said.append(f"trades fetched since: {detail['trades_healed']}")
    return ", ".join(said)

"""`ssmd data reindex`: makes parts, sessions, gaps, sealed days and inventory anew from the archive's manifests alone."""

import sys
from datetime import date
from typing import Any, TextIO

from django.utils import timezone

from registry.models import Environment
from registry.preflight import feed_known, feed_or_default
from registry.refusal import ExitCode, Reason, Refused, require
from ssmd.cli.table import render_one


def run_reindex(
    *,
    feed: str | None,
    on: date | None,
    everything: bool,
    yes: bool,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    """What people wrote on rows that still exist stays; manifests that cannot be read are named."""
    name = feed_or_default(feed)
    require(feed_known(name))
    _agree(name, on, yes=yes, stderr=stderr)

    told, damaged_events = _rebuilt(name, None if everything or on is None else [on], stderr)
    damaged = told["damaged"]
    shown = {**told, "damaged": len(damaged)} if output == "table" else told
    stdout.write(render_one(shown, as_=output))
    for key in damaged:
        stderr.write(f"Cannot be read: {key}\n")
    if damaged_events:
        stderr.write(f"{damaged_events} manifests of normalized parts cannot be read; the log names them.\n")
    return ExitCode.INTEGRITY if damaged or damaged_events else 0


def _rebuilt(name: str, days: list[date] | None, stderr: TextIO) -> tuple[dict[str, Any], int]:
    """What was done, and how many manifests of normalized parts cannot be read."""
    from archive.gap_rows import unix_ns
    from archive.normalized_inventory import record_new_normalized_parts
    from archive.reindex import reindex
    from ssmd.archived import archived_of
    from ssmd.archives import archives_of

    def progress(line: str) -> None:
        stderr.write(f"{line}\n")
        stderr.flush()

    archived, now = archived_of(name), timezone.now()
    done = reindex(archived, days, now_ns=unix_ns(now), progress=progress)
    version = Environment.objects.get(name=archived.environment).version_in_force(now)
    normalized = archives_of(version).open().normalized
    events = record_new_normalized_parts(normalized, name, archived.environment, everything=days is None)
    told = {
        "feed": name,
        "parts": done.parts,
        "sealed_versions": done.sealed,
        "normalized_parts": events.parts,
        "rows_removed": done.removed,
        "damaged": list(done.damaged),
    }
    return told, events.damaged


def _agree(name: str, on: date | None, *, yes: bool, stderr: TextIO) -> None:
    if yes:
        return
    what = f"of {on}" if on else "of all days"
    stderr.write(f"Make the rows {what} of {name} anew from its archive? [y/N] ")
    stderr.flush()
    if not sys.stdin.isatty() or sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused([Reason("Nothing was done", "Add --yes to go ahead without being asked.")])

"""`ssmd data reindex`: makes parts, sessions, gaps, sealed days and inventory anew from the archive's manifests alone."""

import sys
from datetime import date
from typing import TextIO

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

    from django.conf import settings
    from django.utils import timezone

    from archive.gap_rows import unix_ns
    from archive.normalized_inventory import record_new_normalized_parts
    from archive.reindex import reindex
    from archive.store import open_store
    from ssmd.archived import archived_of

    archived = archived_of(name)
    now = timezone.now()
    done = reindex(
        archived,
        None if everything else [on] if on else [],
        now_ns=unix_ns(now),
        progress=lambda line: print(line, file=stderr),
    )
    version = Environment.objects.get(name=archived.environment).version_in_force(now)
    normalized = open_store(version.spec.storage.normalized, settings.SSMD_HOME, secrets=version.spec.secrets)
    events = record_new_normalized_parts(normalized, name, archived.environment, everything=everything)
    told = {
        "feed": name,
        "parts": done.parts,
        "sealed_versions": done.sealed,
        "normalized_parts": events.parts,
        "rows_removed": done.removed,
        "damaged": list(done.damaged),
    }
    stdout.write(
        render_one({**told, "damaged": len(done.damaged)} if output == "table" else told, as_=output)
    )
    if done.damaged or events.damaged:
        for key in done.damaged:
            stderr.write(f"Cannot be read: {key}\n")
        if events.damaged:
            stderr.write(
                f"{events.damaged} manifests of normalized parts cannot be read; the log names them.\n"
            )
        return ExitCode.INTEGRITY
    return 0


def _agree(name: str, on: date | None, *, yes: bool, stderr: TextIO) -> None:
    if yes:
        return
    what = f"of {on}" if on else "of all days"
    stderr.write(f"Make the rows {what} of {name} anew from its archive? [y/N] ")
    stderr.flush()
    if not sys.stdin.isatty() or sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused([Reason("Nothing was done", "Add --yes to go ahead without being asked.")])

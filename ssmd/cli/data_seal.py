"""`ssmd data seal|normalize|verify|gc`: what makes a day final, proves it, and clears away after it."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any, TextIO

import structlog  # noqa: F401 - so that `ssmd.cli.main` finds it loaded, and keeps logs off stdout
from django.utils import timezone

from archive.plan import NothingNew, NothingRecorded
from archive.seal_manifest import SCHEMA, DayManifest, replaced_by
from registry.models import EnvironmentVersion
from registry.preflight import environment_in_force, schema_usable
from registry.refusal import ExitCode, Reason, Refused, require
from ssmd.cli.data_verify import damage_named, run_verify
from ssmd.cli.options import add_feed, add_output, day
from ssmd.cli.table import render, size

_SEALED_SHOWN = (
    "Date", "Version", "Records", "Events", "Markets", "Raw", "Normalized", "Bus lost", "Bus only", "Overlap", "State",
)  # fmt: skip


def add_verbs(actions: Any) -> None:
    """The verbs, each with its options."""
    seal = actions.add_parser("seal", help="Make a day final: raw by hour and type, normalized by ticker")
    normalize = actions.add_parser("normalize", help="Make a sealed day's events from raw once more")
    verify = actions.add_parser("verify", help="Look at every byte of a day's archive")
    gc = actions.add_parser("gc", help="Remove parts that a sealed day has made superfluous")
    _add_day(seal, "default: every day that is over and not final")
    _add_day(normalize, "the UTC day", required=True)
    _add_day(verify, "default: every sealed day")
    _add_day(gc, "default: every day sealed more than seven days ago")
    seal.add_argument(
        "--rebuild",
        action="store_true",
        help="with --date: make raw files that are gone or damaged from their parts again",
    )
    normalize.add_argument("--schema", default=SCHEMA, metavar="VERSION", help=f"default: {SCHEMA}")
    verify.add_argument("--deep", action="store_true", help="make the events from raw once more, and compare")
    gc.add_argument("--yes", action="store_true", help="do not ask")
    for parser in (seal, normalize):  # a version beside the others destroys nothing: there is nothing to ask
        parser.add_argument("--yes", action="store_true", help="accepted, and not needed: nothing is removed")
    runs: tuple[tuple[ArgumentParser, Callable[..., object]], ...] = (
        (seal, run_seal), (normalize, run_normalize), (verify, run_verify), (gc, run_gc),
    )  # fmt: skip
    for parser, action in runs:
        parser.add_argument("--env", metavar="NAME", help="environment (default: the applied one)")
        add_feed(parser)
        add_output(parser)
        parser.set_defaults(run=action)


def _add_day(parser: ArgumentParser, what: str, *, required: bool = False) -> None:
    parser.add_argument("--date", dest="on", type=day, metavar="DATE", required=required, help=what)


def run_seal(
    *,
    env: str | None,
    feed: str | None,
    on: date | None,
    rebuild: bool,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> None:
    """Seal one day, or all that are due; a day that holds nothing new stays as it is."""
    from ssmd.sealing import days_due, seal_one

    version = environment_in_force(env, feed, timezone.now())
    if on is not None:
        _require_begun(on)
    elif rebuild:
        reason = Reason("--rebuild is for one day", "Say which: `ssmd data seal --date DATE --rebuild`.")
        raise Refused([reason], exit_code=ExitCode.USAGE)
    with damage_named():
        days = [on] if on else days_due(version)
        seal = partial(seal_one, rebuild=rebuild)
        sealed = [one for one in (_sealed(seal, version, on, stderr, asked=on) for on in days) if one]
    if output != "table":
        stdout.write(render([_row(one) for one in sealed], _SEALED_SHOWN, as_=output))
    elif sealed:
        stdout.write(render([_row(one) for one in sealed], _SEALED_SHOWN))
    elif on is None:
        stdout.write("Every day that ended more than two hours ago is final.\n")


def _require_begun(on: date) -> None:
    today = timezone.now().date()
    if on > today:
        raise Refused([Reason(f"{on} has not begun", f"Today is {today} (UTC).")], exit_code=ExitCode.USAGE)


def _sealed(
    seal_one: Callable[..., DayManifest],
    version: EnvironmentVersion,
    on: date,
    stderr: TextIO,
    *,
    asked: date | None,
    again: bool = False,
) -> DayManifest | None:
    try:
        manifest = seal_one(version, on, again=again, progress=_counter(stderr, f"sealing {on}"))
        _tell_replaced(manifest, stderr)
        return manifest
    except NothingNew as nothing:
        stderr.write(f"{on} is sealed: version {nothing.version} holds everything.\n")
    except NothingRecorded:
        if asked:
            problem = f"Nothing of feed '{version.feed.name}' is recorded on {on}"
            remedy = "`ssmd data inventory` shows the days that there are."
            raise Refused([Reason(problem, remedy)], exit_code=ExitCode.NOT_FOUND) from None
    return None


def _counter(stderr: TextIO, what: str) -> Callable[[int, int], None]:
    """One line, rewritten in place on a terminal; nothing where nobody watches."""

    def show(done: int, of: int) -> None:
        if stderr.isatty():
            stderr.write(f"\r{what}: {done} of {of} steps" + ("\n" if done == of else ""))
            stderr.flush()

    return show


def _row(one: DayManifest) -> dict[str, Any]:
    return {
        "Date": one.date,
        "Version": one.version,
        "Records": one.raw_rows,
        "Events": sum(one.events.values()),
        "Markets": one.markets,
        "Raw": size(one.stored_bytes),
        "Normalized": size(sum(shard.stored_bytes for shard in one.shards)),
        "Bus lost": one.nats_lost,
        "Bus only": one.nats_unexpected,
        "Overlap": one.overlap,
        "State": "partial" if one.is_partial else "unfinished" if one.unfinished else "final",
    }


def run_normalize(
    *,
    env: str | None,
    feed: str | None,
    on: date,
    schema: str,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> None:
    """A version beside the old one, and what differs between them."""
    from ssmd.sealing import normalize_one

    require(*[schema_usable(name, schema) for name in ("trade", "orderbook", "market_status")])
    if schema != SCHEMA:
        problem = f"Events are written in schema {SCHEMA}; {schema} is only read"
        raise Refused([Reason(problem, f"Leave --schema out, or use --schema {SCHEMA}.")])
    version = environment_in_force(env, feed, timezone.now())
    with damage_named():
        manifest = _sealed(normalize_one, version, on, stderr, asked=on, again=True)
    if manifest is None:
        return
    diff = manifest.diff
    shown = {"date": on, "version": manifest.version, "before": manifest.base, "schema": manifest.schema}
    row = {**shown, "same": diff.same, "changed": diff.changed, "added": diff.added, "removed": diff.removed}
    row["remade"] = len(replaced_by(manifest))
    stdout.write(render([row], tuple(row), as_=output))
    if output == "table" and diff.changed + diff.added + diff.removed == 0 and manifest.base:
        stdout.write(f"No event differs from version {manifest.base}.\n")


def _tell_replaced(manifest: DayManifest, stderr: TextIO) -> None:
    for key in replaced_by(manifest):
        stderr.write(f"{key} was gone or damaged: version {manifest.version} has it anew.\n")


def run_gc(
    *,
    env: str | None,
    feed: str | None,
    on: date | None,
    yes: bool,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> None:
    """Parts go only after the sealed files proved sound; asks first."""
    from ssmd.sealing import collect, collectable

    version = environment_in_force(env, feed, timezone.now())
    with damage_named():
        found = collectable(version, on)
    rows = [
        {"date": day_, "raw": len(one.raw), "normalized": len(one.normalized)} for day_, one in found.items()
    ]
    rows = [row for row in rows if row["raw"] or row["normalized"]]
    if not rows:
        stdout.write("Nothing is superfluous.\n" if output == "table" else render([], (), as_=output))
        return
    stdout.write(render(rows, ("date", "raw", "normalized"), as_=output))
    if not yes and not _confirmed(stderr):
        raise Refused([Reason("Nothing was removed", "Answer y, or give --yes.")])
    with damage_named():
        collect(version, found)


def _confirmed(stderr: TextIO) -> bool:
    if not sys.stdin.isatty():
        return False
    stderr.write("Remove these objects? [y/N] ")
    stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")

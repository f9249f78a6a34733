"""`ssmd data seal|normalize|verify|gc`: what makes a day final, proves it, and clears away after it."""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import structlog  # noqa: F401 - so that `ssmd.cli.main` finds it loaded, and keeps logs off stdout
from django.conf import settings
from django.utils import timezone

from archive.damage import Finding
from archive.files import Damaged
from archive.objects import StoreError
from archive.plan import NothingNew, NothingRecorded
from archive.seal_manifest import SCHEMA, DayManifest
from registry.models import EnvironmentVersion
from registry.preflight import environment_in_force, schema_usable
from registry.refusal import ExitCode, Reason, Refused, require
from ssmd.cli.options import add_feed, add_output, day
from ssmd.cli.table import render, size

_SEALED_SHOWN = (
    "Date", "Version", "Records", "Events", "Markets", "Raw", "Normalized", "Bus lost", "Overlap", "State",
)  # fmt: skip
_FOUND_SHOWN = ("date", "key", "offset", "rows", "problem")


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
    normalize.add_argument("--schema", default=SCHEMA, metavar="VERSION", help=f"default: {SCHEMA}")
    verify.add_argument("--deep", action="store_true", help="make the events from raw once more, and compare")
    gc.add_argument("--yes", action="store_true", help="do not ask")
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
    *, env: str | None, feed: str | None, on: date | None, output: str, stdout: TextIO, stderr: TextIO
) -> None:
    """Seal one day, or all that are due; a day that holds nothing new stays as it is."""
    from ssmd.sealing import days_due, seal_one

    version = environment_in_force(env, feed, timezone.now())
    if on is not None:
        _require_begun(on)
    with _damage_named():
        days = [on] if on else days_due(version)
        sealed = [one for one in (_sealed(seal_one, version, on, stderr, asked=on) for on in days) if one]
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
        return seal_one(version, on, again=again, progress=_counter(stderr, f"sealing {on}"))
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
    with _damage_named():
        manifest = _sealed(normalize_one, version, on, stderr, asked=on, again=True)
    if manifest is None:
        return
    diff = manifest.diff
    shown = {"date": on, "version": manifest.version, "before": manifest.base, "schema": manifest.schema}
    row = {**shown, "same": diff.same, "changed": diff.changed, "added": diff.added, "removed": diff.removed}
    stdout.write(render([row], tuple(row), as_=output))
    if output == "table" and diff.changed + diff.added + diff.removed == 0 and manifest.base:
        stdout.write(f"No file differs from version {manifest.base}.\n")


def run_verify(
    *,
    env: str | None,
    feed: str | None,
    on: date | None,
    deep: bool,
    output: str,
    stdout: TextIO,
    stderr: TextIO,
) -> int:
    """Name every damaged object, where it is damaged, and how many rows are at stake."""
    from ssmd.sealing import sealed_days, verify_one

    version = environment_in_force(env, feed, timezone.now())
    days = [on] if on else sealed_days(version)
    rows: list[dict[str, Any]] = []
    looked = 0
    for one in days:
        with _damage_named():
            found, files = verify_one(version, one, deep=deep, progress=_files_counter(stderr, one))
        looked += files
        rows += [_finding(one, finding) for finding in found]
    rows += [_finding(on, finding) for finding in _in_logs(version)]
    if on and not looked and not rows:
        problem = f"Nothing of feed '{version.feed.name}' is recorded on {on}"
        raise Refused(
            [Reason(problem, "`ssmd data inventory` shows the days.")], exit_code=ExitCode.NOT_FOUND
        )
    if output != "table":
        stdout.write(render(rows, _FOUND_SHOWN, as_=output))
    elif rows:
        stdout.write(render(rows, _FOUND_SHOWN))
    elif not days:
        stdout.write(
            "The registry knows no sealed day; `ssmd data reindex --all` tells it what is archived.\n"
        )
    else:
        stdout.write(f"{_counted(len(days), 'day')}, {_counted(looked, 'file')}: all sound.\n")
    return ExitCode.INTEGRITY if rows else 0


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _in_logs(version: EnvironmentVersion) -> Iterator[Finding]:
    """Damage in the capture logs of this machine: what is not yet shipped lies only there."""
    from archive.log_damage import examine_logs

    return examine_logs(Path(settings.CAPTURE_DIR) / version.environment.name)


def _files_counter(stderr: TextIO, on: date) -> Callable[[int], None]:
    def show(done: int) -> None:
        if stderr.isatty() and done % 50 == 0:
            stderr.write(f"\rverifying {on}: {done} files")
            stderr.flush()

    return show


def _finding(on: date | None, finding: Finding) -> dict[str, Any]:
    return {
        "date": on,
        "key": finding.key,
        "offset": finding.offset,
        "rows": finding.rows,
        "problem": finding.problem.removeprefix(finding.key).strip(": "),
    }


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
    with _damage_named():
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
    with _damage_named():
        collect(version, found)


def _confirmed(stderr: TextIO) -> bool:
    if not sys.stdin.isatty():
        return False
    stderr.write("Remove these objects? [y/N] ")
    stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except Damaged as error:
        remedy = "`ssmd data verify --date DATE` names everything that is damaged."
        raise Refused([Reason(str(error), remedy)], exit_code=ExitCode.INTEGRITY) from error
    except StoreError as error:
        problem = f"It could not be finished: {error}"
        raise Refused(
            [Reason(problem, "Nothing is lost: mend that, and run it again.")], exit_code=ExitCode.UNAVAILABLE
        ) from error

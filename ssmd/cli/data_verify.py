"""`ssmd data verify`: names what is damaged, where, and how many rows are at stake."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.utils import timezone

from archive.damage import Finding
from archive.files import Damaged
from archive.objects import StoreError
from archive.verify import Superseded
from registry.models import EnvironmentVersion
from registry.preflight import environment_in_force
from registry.refusal import ExitCode, Reason, Refused
from ssmd.cli.table import render

_FOUND_SHOWN = ("date", "key", "noticed_at", "rows", "problem")
_NOTICED = (
    "Noticed at: the stored byte at which reading fails. In a compressed file the damage lies there or before; in a"
    " capture log in the record that begins there.\n"
)
_DAMAGE_REMEDY = (
    "`ssmd data verify --date DATE` names everything that is damaged; `ssmd data seal --date DATE --rebuild` makes"
    " damaged sealed raw files from their parts again."
)


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
        with damage_named():
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
        stderr.write(_NOTICED if any(row["noticed_at"] is not None for row in rows) else "")
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
        "noticed_at": finding.offset,
        "rows": finding.rows,
        "problem": finding.problem.removeprefix(finding.key).strip(": ") + _of_what(finding),
    }


def _of_what(finding: Finding) -> str:
    return " (only an older version names it)" if isinstance(finding, Superseded) else ""


@contextmanager
def damage_named() -> Iterator[None]:
    """Turns what an archive may answer into refusals: damage into 8, a store that does not answer into 6."""
    try:
        yield
    except Damaged as error:
        raise Refused([Reason(str(error), _DAMAGE_REMEDY)], exit_code=ExitCode.INTEGRITY) from error
    except StoreError as error:
        problem = f"It could not be finished: {error}"
        raise Refused(
            [Reason(problem, "Nothing is lost: mend that, and run it again.")], exit_code=ExitCode.UNAVAILABLE
        ) from error

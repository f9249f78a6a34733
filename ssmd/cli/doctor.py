"""Check this machine and this installation."""

import re
import shutil
import subprocess
import sys
import tempfile
from argparse import _SubParsersAction
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from django.conf import settings

from registry.models import DataGap, Environment
from registry.preflight import database_place, registry_ready
from registry.refusal import ExitCode, Reason, Refused
from ssmd.cli.options import add_output
from ssmd.cli.table import render, size
from ssmd.key_check import key_usable
from ssmd.runtime.embedded import OLDEST_NATS, find_nats, find_valkey, nats_version, port_is_free
from ssmd.runtime.home import is_held
from streaming.refusals import NOTE

# Capture stops being safe when the disk is full: below the first, say so; below the second, do not start.
_WARN_FREE, _FAIL_FREE = 10 * 10**9, 10**9
# Each connection, log, socket client and database handle is an open file.
_FEW_FILES = 1024
_PORTS = ((8000, "admin, REST and stream", "--web-port"), (8010, "the simulated exchange", "--exchange-port"))


class Finding(NamedTuple):
    """One line of the table."""

    check: str
    status: str  # ok, warn or fail
    found: str
    remedy: str = ""


def add_parser(groups: "_SubParsersAction[Any]") -> None:
    """`ssmd doctor`."""
    parser = groups.add_parser("doctor", help=__doc__, description=__doc__)
    add_output(parser)
    parser.set_defaults(run=examine)


def examine(*, output: str, stdout: TextIO) -> int:
    """Every check, even after one failed; exit 6 when one did."""
    findings = [finding for check in CHECKS for finding in check()]
    if output == "table":
        stdout.writelines(_line(finding) for finding in findings)
    else:
        stdout.write(render([finding._asdict() for finding in findings], Finding._fields, as_=output))
    failed = any(finding.status == "fail" for finding in findings)
    return int(ExitCode.UNAVAILABLE) if failed else 0


def _line(finding: Finding) -> str:
    remedy = f"{'':22}{finding.remedy}\n" if finding.remedy else ""
    return f"{finding.status:<5} {finding.check:<15} {finding.found}\n{remedy}"


def python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    new_enough = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if new_enough else "fail", version, "" if new_enough else "3.11 or newer.")


def home() -> Iterator[Finding]:
    """The data folder, or the nearest folder above it that exists."""
    place = Path(settings.SSMD_HOME)
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(
            dir=existing
        ):  # asked by doing: root may by the mode, and cannot in /proc
            yield Finding("data folder", "ok", f"{place} can be written to")
    except OSError as error:
        remedy = "Set SSMD_HOME to another folder."
        yield Finding("data folder", "fail", f"{place} cannot be written to: {error.strerror}", remedy)
    yield _disk(shutil.disk_usage(existing).free)


def _disk(free: int) -> Finding:
    status = "fail" if free < _FAIL_FREE else "warn" if free < _WARN_FREE else "ok"
    return Finding(
        "disk", status, f"{size(free)} free", "" if status == "ok" else "Free some, or move SSMD_HOME."
    )


def damaged_logs() -> Iterator[Finding]:
    """What was kept of damaged capture logs."""
    kept = sorted(Path(settings.CAPTURE_DIR).glob("*/*/*.damaged*"))
    if kept:
        remedy = "Look after the disk; `docs/runbooks/seal.md` says what it cost. Move the files away then."
        yield Finding("capture logs", "warn", f"{len(kept)} damaged pieces, the first is {kept[0]}", remedy)


def open_files() -> Iterator[Finding]:
    """The limit on open files of one process."""
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = limit > _FEW_FILES or limit == resource.RLIM_INFINITY
    found = "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
    yield Finding("open files", "ok" if enough else "warn", found, "" if enough else "`ulimit -n 65536`")


def database() -> Iterator[Finding]:
    """The registry: there, readable, migrated."""
    reasons = registry_ready()
    for reason in reasons:
        yield Finding("database", "fail", reason.problem, reason.remedy)
    if not reasons:
        yield Finding("database", "ok", database_place())
        yield _applied()


def _applied() -> Finding:
    try:
        version = Environment.objects.applied_version()
    except Refused as refused:
        return Finding("environment", "warn", refused.reasons[0].problem, refused.reasons[0].remedy)
    return Finding("environment", "ok", f"{version} is applied, feed {version.feed.name}")


def secrets() -> Iterator[Finding]:
    """The credentials of every applied environment's venue; never their values."""
    if registry_ready():
        return
    from django.utils import timezone

    from registry.models import EnvironmentVersion

    for version in EnvironmentVersion.objects.as_of(timezone.now()).select_related("feed"):
        reference = version.spec.secrets.get(version.feed.venue, "")
        reasons = key_usable(reference) if reference else []
        for reason in reasons:
            yield Finding("secret", "fail", reason.problem, reason.remedy)
        if reference and not reasons:
            yield Finding("secret", "ok", f"{reference} can be read and holds a key")


def nats() -> Iterator[Finding]:
    """A nats-server new enough, or the one that NATS_URL names."""
    if settings.NATS_URL:
        yield Finding("nats-server", "ok", "NATS_URL names one")
        return
    found = find_nats()
    if isinstance(found, Reason):
        yield Finding("nats-server", "fail", found.problem, found.remedy)
        return
    version = ".".join(map(str, nats_version(found) or OLDEST_NATS))
    yield Finding("nats-server", "ok", f"{version}, {found}")


def valkey() -> Iterator[Finding]:
    """A valkey-server, or the one that REDIS_URL names."""
    if settings.REDIS_URL:
        yield Finding("valkey-server", "ok", "REDIS_URL names one")
        return
    found = find_valkey()
    if isinstance(found, Reason):
        yield Finding("valkey-server", "fail", found.problem, found.remedy)
        return
    yield _valkey_version(found)


def _valkey_version(binary: Path) -> Finding:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("valkey-server", "fail", f"{binary} does not run: {error}", "Run `make install`.")
    version = re.search(r"v=(\d+)\.(\d+)", answer)
    if version is None or (int(version[1]), int(version[2])) < (7, 0):
        return Finding("valkey-server", "fail", f"{binary} is too old or no server", "7.0 or newer.")
    return Finding("valkey-server", "ok", f"{version[1]}.{version[2]}, {binary}")


def ports() -> Iterator[Finding]:
    """The default ports; taken is a warning, unless a running `ssmd up` of this folder has them."""
    runs = is_held(Path(settings.SSMD_HOME))
    for port, purpose, option in _PORTS:
        if port_is_free(port):
            yield Finding("port", "ok", f"{port} is free for {purpose}")
        elif runs:
            yield Finding("port", "ok", f"{port} ({purpose}) is in use; `ssmd up` runs here")
        else:
            remedy = f"Another program has it; use `ssmd up {option} {port + 1}`."
            yield Finding("port", "warn", f"{port} ({purpose}) is taken", remedy)


def programs() -> Iterator[Finding]:
    """What the running `ssmd up` of this folder says of its programs; nothing where none runs."""
    home_folder = Path(settings.SSMD_HOME)
    if not is_held(home_folder):
        return
    from ssmd.runtime.supervisor import Supervisor

    running = Supervisor.of_running(home_folder)
    states = running.states() if running else {}
    unwell = [state for state in states.values() if not state.runs]
    if not states:
        yield Finding(
            "programs", "warn", "`ssmd up` runs, its supervisord does not answer", "Is it starting?"
        )
    elif not unwell:
        yield Finding("programs", "ok", f"{len(states)} are running: {', '.join(states)}")
    for state in unwell:
        log = home_folder / "log" / f"{state.name}.log"
        yield Finding("programs", "warn", f"{state.name} is {state.state}", f"Its log is {log}.")


def bus() -> Iterator[Finding]:
    """What connectors last said of their bus: they record without it, and nothing live comes of that."""
    notes = sorted((Path(settings.SSMD_HOME) / "capture").glob(f"*/{NOTE}"))
    for note in notes:
        since, _, problem = note.read_text().strip().partition(" ")
        remedy = "What is recorded is safe; `ssmd_connector_bus_refusals_total` on /metrics counts by kind."
        yield Finding("bus", "warn", f"{note.parent.name}, since {since}: {problem}", remedy)


def markets() -> Iterator[Finding]:
    """Whether the security master's changes go out, and whether all markets could be completed."""
    if registry_ready():
        return
    from datetime import timedelta

    from django.utils import timezone

    from secmaster.models import MarketLookup, MarketNotice

    late = MarketNotice.objects.filter(written_at__lt=timezone.now() - timedelta(minutes=5)).count()
    given_up = MarketLookup.objects.exclude(given_up_at=None).count()
    if late:
        remedy = "`ssmd market follow` publishes them; `ssmd up` runs one."
        yield Finding("markets", "warn", f"{late} changes wait for five minutes to be published", remedy)
    if given_up:
        remedy = "The admin lists them (market lookups); a market sync may still bring them."
        yield Finding("markets", "warn", f"{given_up} events could not be looked up", remedy)
    if not late and not given_up:
        yield Finding("markets", "ok", "every change is published, every look-up answered")


def gaps() -> Iterator[Finding]:
    """Losses that go on now and that nobody planned."""
    if registry_ready():
        return
    open_now = DataGap.objects.open().filter(planned=False, resolved=False)
    feeds = sorted(set(open_now.order_by().values_list("feed__name", flat=True)))
    if not feeds:
        yield Finding("open gaps", "ok", "none that is unplanned")
        return
    remedy = f"`ssmd data gaps --feed {feeds[0]}` says since when and why."
    yield Finding("open gaps", "warn", f"{open_now.count()} unplanned: {', '.join(feeds)}", remedy)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python,
    home,
    damaged_logs,
    open_files,
    database,
    secrets,
    nats,
    valkey,
    ports,
    programs,
    bus,
    markets,
    gaps,
)

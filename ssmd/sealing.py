"""What an operator and the clock do with a day's archive: seal, verify, normalize again, clear away."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from datetime import date, datetime, timedelta
from getpass import getuser

import msgspec
import structlog
from django.db.models import Max
from django.utils import timezone

from archive import seal_manifest
from archive.damage import Finding
from archive.day_lines import as_it_stands
from archive.day_rows import renew_days
from archive.files import Damaged
from archive.gc import NotYet, Superfluous, remove, superfluous
from archive.inventory import record_sealed_day
from archive.layout import PartKey
from archive.plan import NothingNew, NothingRecorded
from archive.seal import Archive, Runner, seal_day
from archive.seal_manifest import SCHEMA, DayManifest
from archive.sealed_rows import note_unsealed
from archive.store import remove_leftovers
from archive.verify import Superseded, verify_day
from registry.models import (
    ArchivePart,
    DeploymentLog,
    EnvironmentVersion,
    SchemaMigration,
    SchemaMigrationRun,
    SchemaVersion,
    SealedDay,
)
from registry.refusal import ExitCode, Reason, Refused
from ssmd.archived import archived_in
from ssmd.archives import ArchiveSpec, archives_of
from ssmd.seal_runners import Progress, best_runner, quiet
from streaming.kalshi.wires import wire_named

log = structlog.get_logger()

SEAL_AFTER = timedelta(hours=2)
LOOK_BACK_DAYS = 30
LEFTOVERS_AGE = timedelta(hours=24)  # of temporary files and unfinished uploads: no writer takes so long


def days_due(version: EnvironmentVersion, *, now: datetime | None = None) -> list[date]:
    """The days that are over, have raw parts, and are not final, here or for the registry: newest last."""
    archive = archives_of(version).open()
    until = ((now or timezone.now()) - SEAL_AFTER).date()
    days = {until - timedelta(days=back) for back in range(1, LOOK_BACK_DAYS + 1)}
    told = _versions_told(version)
    parts = ArchivePart.objects.filter(
        feed=version.feed, environment=version.environment.name, date__lt=until
    )
    days |= set(parts.order_by().values_list("date", flat=True).distinct()) - told.keys()
    return [on for on in sorted(days) if _is_due(archive, on, told.get(on, 0))]


def _is_due(archive: Archive, on: date, told: int) -> bool:
    plan, sealed = as_it_stands(archive.raw, archive.feed, on)
    return bool(plan.parts) or (sealed is not None and (sealed.is_partial or sealed.version > told))


def _versions_told(version: EnvironmentVersion) -> dict[date, int]:
    """The latest sealed version of each day that the registry knows: a crash after a seal leaves it behind."""
    known = SealedDay.objects.filter(feed=version.feed, environment=version.environment.name)
    return dict(known.order_by().values_list("date").annotate(Max("version")))


def seal_one(
    version: EnvironmentVersion,
    on: date,
    *,
    again: bool = False,
    rebuild: bool = False,
    progress: Progress = quiet,
    trigger: str = "manual",
    action: str = "seal",
) -> DayManifest:
    """Seal a day, write down that it was done, and bring the registry's rows up to date."""
    from ssmd.tasks import record_parts_of

    spec = archives_of(version)
    DeploymentLog.close_interrupted(version, action, on)
    with DeploymentLog.record(version, action, trigger=trigger, by=_who(), on=on) as run:
        try:
            manifest = _seal_all(
                spec,
                on,
                again=again,
                rebuild=rebuild,
                mapper=_mapper_on(version, on),
                told=parts_told(version, on),
                run=best_runner(spec, progress=progress),
            )
        except NothingNew as nothing:
            run.skip(str(nothing))
            if _versions_told(version).get(on, 0) < nothing.version:
                record_sealed_day(archived_in(version), on, now_ns=time.time_ns())
            raise
        except NothingRecorded:
            run.skip("nothing is recorded")
            raise
        run.detail = {"version": manifest.version, "records": manifest.raw_rows, "events": manifest.events}
        record_parts_of(version.environment.name)
        note_unsealed(version.feed, on, "")
        record_sealed_day(archived_in(version), on, now_ns=time.time_ns())
    return manifest


def _mapper_on(version: EnvironmentVersion, on: date) -> str:
    """The mapper that the feed version in force on that day names; empty where none is named."""
    in_force = version.feed.versions.as_of(on).first()
    if in_force is None or not in_force.mapper:
        return ""
    try:
        return wire_named(in_force.mapper).mapper
    except ValueError as error:
        problem = f"Version {in_force.version} of feed '{version.feed.name}' cannot be read: {error}"
        raise Refused([Reason(problem, "Correct `mapper` in its parser_config.")]) from error


def parts_told(version: EnvironmentVersion, on: date) -> list[PartKey]:
    """A day's raw parts as the registry knows them: none of their records may be missing."""
    known = ArchivePart.objects.filter(feed=version.feed, environment=version.environment.name, date=on)
    rows = known.order_by("session", "first_n").values_list("session", "first_n", "last_n")
    return [PartKey(version.feed.name, on, *row) for row in rows]


def _seal_all(
    spec: ArchiveSpec,
    on: date,
    *,
    again: bool,
    rebuild: bool,
    mapper: str,
    told: Sequence[PartKey],
    run: Runner,
) -> DayManifest:
    """Seal what there is now: where an older plan was waiting to be finished, what came since is sealed behind it."""
    begun_ns = time.time_ns()
    manifest = seal_day(
        spec.open(), on, now_ns=begun_ns, again=again, rebuild=rebuild, mapper=mapper, told=told, run=run
    )
    if manifest.sealed_ns < begun_ns:
        with suppress(NothingNew):
            manifest = seal_day(spec.open(), on, now_ns=time.time_ns(), mapper=mapper, told=told, run=run)
    return manifest


def normalize_one(
    version: EnvironmentVersion, on: date, *, again: bool = True, progress: Progress = quiet
) -> DayManifest:
    """Make a sealed day's events once more, as a version beside the old one; each schema's migration gets a run."""
    archive = archives_of(version).open()
    if not seal_manifest.versions(archive.raw, archive.feed, on):
        remedy = f"`ssmd data seal --date {on}` seals it, and makes its events."
        raise Refused([Reason(f"{on} is not sealed", remedy)], exit_code=ExitCode.NOT_FOUND)
    with ExitStack() as stack:
        runs = [stack.enter_context(_migration_run(version, name, on)) for name in _SCHEMAS]
        manifest = seal_one(version, on, again=again, progress=progress, action="normalize")
        for run in runs:
            run.report = {"version": manifest.version, **msgspec.structs.asdict(manifest.diff)}
    return manifest


_SCHEMAS = ("trade", "orderbook", "market_status", "ticker")


def _migration_run(
    version: EnvironmentVersion, name: str, on: date
) -> AbstractContextManager[SchemaMigrationRun]:
    schema = SchemaVersion.objects.get(name=name, version=SCHEMA)
    migration, _ = SchemaMigration.objects.get_or_create(
        from_version=schema,
        to_version=schema,
        defaults={
            "migration_type": SchemaMigration.Type.REPROCESS,
            "migration_script": "ssmd data normalize --date DATE",
        },
    )
    return migration.run(version.feed, first_date=on, last_date=on, by=_who())


def _who() -> str:
    try:
        return getuser()
    except (KeyError, OSError):  # in a container, a user may have no name
        return f"uid {os.getuid()}"


def sealed_days(version: EnvironmentVersion) -> list[date]:
    """The days of which the registry knows a sealed version."""
    known = SealedDay.objects.filter(feed=version.feed, environment=version.environment.name)
    return sorted(set(known.values_list("date", flat=True)))


def verify_one(
    version: EnvironmentVersion, on: date, *, deep: bool = False, progress: Callable[[int], None]
) -> tuple[list[Finding], int]:
    """(what is wrong with a day, how many files were looked at); the result stands in the sealed day's row."""
    looked = 0

    def count(done: int) -> None:
        nonlocal looked
        looked = done
        progress(done)

    rows = SealedDay.objects.filter(feed=version.feed, environment=version.environment.name, date=on)
    known, told = dict(rows.values_list("version", "manifest_sha256")), parts_told(version, on)
    archive = archives_of(version).open()
    found = list(verify_day(archive, on, deep=deep, known=known, told=told, progress=count))
    # What only older versions name says nothing against the day as it is now.
    now = [finding for finding in found if not isinstance(finding, Superseded)]
    result = "; ".join(f"{finding.key}: {finding.problem}" for finding in now)[:2000]
    latest = rows.order_by("-version").first()
    if latest is not None:
        rows.filter(pk=latest.pk).update(verified_at=timezone.now(), verify_result=result or "ok")
    note_unsealed(version.feed, on, "" if latest else result)
    renew_days(archived_in(version), [on], now_ns=time.time_ns())
    return found, looked


def collectable(version: EnvironmentVersion, on: date | None) -> dict[date, Superfluous]:
    """What can go, by day; a day that was asked for and is still needed is refused."""
    archive = archives_of(version).open()
    found = {}
    for one in [on] if on else sealed_days(version):
        try:
            found[one] = superfluous(archive, one, now_ns=time.time_ns())
        except NotYet as error:
            if on:
                raise Refused([Reason(str(error), "Its parts are kept until then.")]) from error
        except Damaged as error:  # one day's damage keeps its own parts only
            if on:
                raise
            log.error("nothing of this day is removed", day=str(one), error=str(error))
    return found


def collect(version: EnvironmentVersion, found: dict[date, Superfluous]) -> None:
    """Remove them, and the rows of what is gone."""
    archive = archives_of(version).open()
    for store in (archive.raw, archive.normalized):
        remove_leftovers(store, LEFTOVERS_AGE)
    for one in found.values():
        remove(archive, one)
        gone = [key for key in one.raw if key.endswith(".zst")]
        for start in range(0, len(gone), 500):
            ArchivePart.objects.filter(feed=version.feed, key__in=gone[start : start + 500]).delete()

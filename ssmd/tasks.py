"""What Celery does: thin, idempotent steps. One that is still running is not started a second time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
from django.conf import settings
from django.utils import timezone

from archive import inventory, seal_manifest, silence
from archive.files import Damaged
from archive.layout import plan_key
from archive.normalized_inventory import record_new_normalized_parts
from archive.plan import NothingNew
from archive.seal import Step
from archive.seal_manifest import Plan
from archive.store import open_store
from registry.models import Environment
from ssmd.archives import archives_of
from ssmd.celery import app
from ssmd.market_sync import sync_from_venue
from streaming.file_lock import FileLock, Locked

log = logging.getLogger(__name__)


@app.task(name="ssmd.tasks.record_new_parts", ignore_result=True)
def record_new_parts(environment: str) -> None:
    """Turn the manifests that are new in the archive into inventory and gap rows."""
    with only_one(f"record_new_parts-{environment}") as is_mine:
        if is_mine:
            record_parts_of(environment)


def record_parts_of(environment: str) -> None:
    """The same, at once."""
    version = Environment.objects.get(name=environment).version_in_force(timezone.now())
    archive = archives_of(version).open()
    inventory.record_new_parts(archive.raw, version.feed.name, environment)
    record_new_normalized_parts(archive.normalized, version.feed.name, environment)


@app.task(name="ssmd.tasks.record_silence", ignore_result=True)
def record_silence(environment: str) -> None:
    """Open the gap row of a session that fell silent without an end."""
    with only_one(f"record_new_parts-{environment}") as is_mine:
        if is_mine:
            record_silence_of(environment)


def record_silence_of(environment: str) -> None:
    """The same, at once."""
    version = Environment.objects.get(name=environment).version_in_force(timezone.now())
    store = open_store(version.spec.storage.raw, Path(settings.SSMD_HOME), secrets=version.spec.secrets)
    for session in silence.record_silence(store, version.feed.name, environment):
        log.warning("%s fell silent without an end: a gap is open", session)


@app.task(name="ssmd.tasks.sync_markets", ignore_result=True)
def sync_markets(environment: str) -> None:
    """Bring the environment's markets up to date with its venue; one that does not answer is asked again next time."""
    with only_one(f"sync_markets-{environment}") as is_mine:
        if not is_mine:
            return
        feed = Environment.objects.get(name=environment).version_in_force(timezone.now()).feed
        try:
            result = sync_from_venue(feed, feed.version_on(timezone.now()))
        except httpx.HTTPError as error:
            log.warning("the venue did not answer: %s", error)
            return
        log.info("%d markets seen, %d created, %d changed", result.seen, result.created, result.changed)


@app.task(name="ssmd.tasks.seal_step", ignore_result=True, time_limit=3600)
def seal_step(environment: str, day: str, version: int, kind: str, number: int) -> None:
    """One step of a seal that somebody planned; in a process of its own, so that other tasks go on."""
    from ssmd.seal_runners import in_processes

    spec = archives_of(Environment.objects.get(name=environment).version_in_force(timezone.now()))
    archive = spec.open()
    plan = seal_manifest.read(archive.raw, plan_key(spec.feed, date.fromisoformat(day), version), Plan)
    in_processes(spec)(archive, plan, [Step(kind, number)])


@app.task(name="ssmd.tasks.seal_days", ignore_result=True, time_limit=3600)
def seal_days(environment: str) -> None:
    """Seal every day that is over and not yet final; harmless when there is none."""
    with only_one(f"seal_days-{environment}") as is_mine:
        if not is_mine:
            return
        from ssmd.sealing import days_due, seal_one

        version = Environment.objects.get(name=environment).version_in_force(timezone.now())
        for on in days_due(version):
            try:
                seal_one(version, on, trigger="scheduled")
            except NothingNew:
                continue
            except Damaged as error:  # one day's damage must not keep the others from being final
                log.error("%s cannot be sealed: %s", on, error)


@contextmanager
def only_one(name: str) -> Iterator[bool]:
    """Whether this process is the one that may go ahead; the lock goes with the process."""
    try:
        lock = FileLock(Path(settings.RUN_DIR) / f"{name}.lock")
    except Locked:
        yield False
        return
    with lock:
        yield True

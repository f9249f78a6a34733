"""What Celery does: thin, idempotent steps. One that is still running is not started a second time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from django.conf import settings
from django.utils import timezone

from archive import inventory, silence
from archive.store import open_store
from registry.models import Environment
from ssmd.celery import app
from ssmd.market_sync import sync_from_venue
from streaming.file_lock import FileLock, Locked

log = logging.getLogger(__name__)


@app.task(name="ssmd.tasks.record_new_parts", ignore_result=True)
def record_new_parts(environment: str) -> None:
    """Turn the manifests that are new in the raw archive into inventory and gap rows."""
    with only_one(f"record_new_parts-{environment}") as is_mine:
        if is_mine:
            record_parts_of(environment)


def record_parts_of(environment: str) -> None:
    """The same, at once."""
    version = Environment.objects.get(name=environment).version_in_force(timezone.now())
    store = open_store(version.spec.storage.raw, Path(settings.SSMD_HOME), secrets=version.spec.secrets)
    inventory.record_new_parts(store, version.feed.name, environment)


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

"""The rows that tell Celery beat what to do and when, made from an environment. Celery itself is not imported."""

import json
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

RECORD_EVERY_SECONDS = 5
SILENCE_EVERY_SECONDS = 30
SEAL_EVERY_SECONDS = 600  # looks for days that are over since two hours and not final: usually there is none
# The follower takes in what happens, and asks for a sync where events were missed; this one is the second look.
# Simulated markets live for minutes and are few; a real venue lists a hundred thousand.
SYNC_EVERY_SECONDS = {True: 300, False: 3600}
# Everything below this prefix is ours: what no environment asks for is removed.
PREFIX = "ssmd: "


@dataclass(frozen=True, slots=True)
class Entry:
    """One task of one environment, every so many seconds."""

    task: str
    every: int
    title: str


def entries(environment: str, *, is_simulated: bool) -> list[Entry]:
    """What beat does for an environment that runs on this machine."""
    sync_every = SYNC_EVERY_SECONDS[is_simulated]
    return [
        Entry(
            "ssmd.tasks.record_new_parts", RECORD_EVERY_SECONDS, f"{PREFIX}record new parts of {environment}"
        ),
        Entry(
            "ssmd.tasks.record_silence", SILENCE_EVERY_SECONDS, f"{PREFIX}look for silence in {environment}"
        ),
        Entry("ssmd.tasks.seal_days", SEAL_EVERY_SECONDS, f"{PREFIX}seal the days of {environment}"),
        Entry("ssmd.tasks.sync_markets", sync_every, f"{PREFIX}sync the markets of {environment}"),
    ]


@transaction.atomic
def declare(environment: str, *, is_simulated: bool) -> None:
    """Make the entries of the environment that runs on this machine; harmless to repeat."""
    wanted = entries(environment, is_simulated=is_simulated)
    titles = [entry.title for entry in wanted]
    PeriodicTask.objects.filter(name__startswith=PREFIX).exclude(name__in=titles).delete()
    for entry in wanted:
        _declare(entry, environment)


def _declare(entry: Entry, environment: str) -> None:
    every, _ = IntervalSchedule.objects.get_or_create(every=entry.every, period=IntervalSchedule.SECONDS)
    wanted = {
        "task": entry.task,
        "interval": every,
        "kwargs": json.dumps({"environment": environment}),
        # A run that waited as long as the next one is due says nothing new.
        "expire_seconds": entry.every,
        "enabled": True,
    }
    known = PeriodicTask.objects.filter(name=entry.title).first()
    # Saving makes a running beat read its whole schedule anew.
    if known is None or any(getattr(known, key) != value for key, value in wanted.items()):
        # A new entry counts as run long ago: it is due at once, not after its first interval.
        due = {**wanted, "last_run_at": timezone.now() - timedelta(days=1)}
        PeriodicTask.objects.update_or_create(name=entry.title, defaults=wanted, create_defaults=due)

"""The rows that tell Celery beat what to do and when, made from an environment. Celery itself is not imported."""

import json

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

TASK = "ssmd.tasks.record_new_parts"
RECORD_EVERY_SECONDS = 5
# Everything below this prefix is ours: what no environment asks for is removed.
PREFIX = "ssmd: "


@transaction.atomic
def declare(environment: str) -> None:
    """Make the entries of the environment that runs on this machine; harmless to repeat."""
    name = f"{PREFIX}record new parts of {environment}"
    PeriodicTask.objects.filter(name__startswith=PREFIX).exclude(name=name).delete()
    every, _ = IntervalSchedule.objects.get_or_create(
        every=RECORD_EVERY_SECONDS, period=IntervalSchedule.SECONDS
    )
    wanted = {
        "task": TASK,
        "interval": every,
        "kwargs": json.dumps({"environment": environment}),
        # A run that waited as long as the next one is due says nothing new.
        "expire_seconds": RECORD_EVERY_SECONDS,
        "enabled": True,
    }
    known = PeriodicTask.objects.filter(name=name).first()
    # Saving makes a running beat read its whole schedule anew.
    if known is None or any(getattr(known, key) != value for key, value in wanted.items()):
        PeriodicTask.objects.update_or_create(name=name, defaults=wanted)

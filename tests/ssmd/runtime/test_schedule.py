import pytest
from django_celery_beat.models import PeriodicTask

from ssmd.runtime import schedule

pytestmark = pytest.mark.django_db


def test_declaring_twice_leaves_one_entry_and_does_not_disturb_beat() -> None:
    schedule.declare("demo")
    before = PeriodicTask.objects.get(name__startswith=schedule.PREFIX).date_changed
    schedule.declare("demo")
    [entry] = PeriodicTask.objects.filter(name__startswith=schedule.PREFIX)
    assert (entry.date_changed, entry.interval.every, entry.expire_seconds) == (before, 5, 5)


def test_the_entry_follows_the_environment_and_leaves_those_of_others() -> None:
    schedule.declare("demo")
    other = PeriodicTask.objects.get(name__startswith=schedule.PREFIX)
    other.pk, other.name = None, "an operator's own"
    other.save()

    schedule.declare("second")

    assert {entry.name for entry in PeriodicTask.objects.all()} == {
        "an operator's own",
        "ssmd: record new parts of second",
    }


def test_what_an_operator_changed_is_set_right() -> None:
    schedule.declare("demo")
    PeriodicTask.objects.filter(name__startswith=schedule.PREFIX).update(enabled=False)
    schedule.declare("demo")
    assert PeriodicTask.objects.get(name__startswith=schedule.PREFIX).enabled

import pytest
from django_celery_beat.models import PeriodicTask

from ssmd.runtime import schedule

pytestmark = pytest.mark.django_db


RECORD = "ssmd.tasks.record_new_parts"


def test_declaring_twice_makes_no_second_entry_and_does_not_disturb_beat() -> None:
    schedule.declare("demo", is_simulated=True)
    before = PeriodicTask.objects.get(task=RECORD).date_changed
    schedule.declare("demo", is_simulated=True)
    entry = PeriodicTask.objects.get(task=RECORD)
    assert (entry.date_changed, entry.interval.every, entry.expire_seconds) == (before, 5, 5)


@pytest.mark.parametrize(("is_simulated", "seconds"), [(True, 300), (False, 3600)])
def test_a_real_venue_is_asked_for_its_markets_less_often(is_simulated: bool, seconds: int) -> None:
    schedule.declare("demo", is_simulated=is_simulated)
    assert PeriodicTask.objects.get(task="ssmd.tasks.sync_markets").interval.every == seconds


def test_the_entry_follows_the_environment_and_leaves_those_of_others() -> None:
    schedule.declare("demo", is_simulated=True)
    other = PeriodicTask.objects.get(task=RECORD)
    other.pk, other.name = None, "an operator's own"
    other.save()

    schedule.declare("second", is_simulated=False)

    assert {entry.name for entry in PeriodicTask.objects.all()} == {
        "an operator's own",
        "ssmd: look for silence in second",
        "ssmd: record new parts of second",
        "ssmd: seal the days of second",
        "ssmd: sync the markets of second",
    }


def test_what_an_operator_changed_is_set_right() -> None:
    schedule.declare("demo", is_simulated=True)
    PeriodicTask.objects.filter(task=RECORD).update(enabled=False)
    schedule.declare("demo", is_simulated=True)
    assert PeriodicTask.objects.get(task=RECORD).enabled

"""Environments: numbered versions, which one is applied, what was in force when."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.db import IntegrityError

from registry.models import Environment, EnvironmentVersion, Feed
from registry.refusal import Refused

DEMO = (Path(__file__).parents[2] / "environments" / "demo.yaml").read_text()
T0 = datetime(2025, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def simulated(db: None) -> Feed:
    return Feed.objects.create(name="kalshi-sim", feed_type="websocket", venue="kalshi", simulated=True)


@pytest.fixture
def demo(simulated: Feed) -> Environment:
    return Environment.objects.create(name="demo")


def test_the_same_text_again_makes_no_version(demo: Environment) -> None:
    first = demo.add_version(DEMO)

    assert demo.add_version(DEMO).pk == first.pk


def test_another_text_makes_the_next_version(demo: Environment) -> None:
    demo.add_version(DEMO)

    second = demo.add_version(DEMO.replace("part_seconds: 5", "part_seconds: 6"))

    assert (second.version, second.spec.storage.raw.part_seconds) == (2, 6)


def test_applying_closes_the_version_before(demo: Environment) -> None:
    first, second = demo.add_version(DEMO), demo.add_version(DEMO + "# changed\n")
    first.apply(at=T0, by="a")

    second.apply(at=T0 + timedelta(hours=1), by="b")

    first.refresh_from_db()
    assert (first.valid_to, second.valid_to) == (T0 + timedelta(hours=1), None)


def test_applying_twice_changes_nothing(demo: Environment) -> None:
    version = demo.add_version(DEMO)
    version.apply(at=T0, by="a")

    version.apply(at=T0 + timedelta(hours=1), by="b")

    version.refresh_from_db()
    assert (version.valid_from, version.deployed_by) == (T0, "a")


def test_the_commit_that_a_file_was_read_from_is_kept(demo: Environment) -> None:
    version = demo.add_version(DEMO)

    version.apply(at=T0, by="a", git_commit="5f3a" * 10)

    version.refresh_from_db()
    assert (version.git_commit, version.deployed_by) == ("5f3a" * 10, "a")


def test_a_day_answers_with_what_was_in_force_at_its_end(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")

    assert demo.version_in_force(date(2025, 12, 10)).version == 1


def test_an_instant_before_the_first_application_is_refused(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")

    with pytest.raises(Refused, match="Version 1 was applied at 2025-12-10"):
        demo.version_in_force(T0 - timedelta(seconds=1))


def test_two_versions_are_never_in_force_together(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")
    second = demo.add_version(DEMO + "# changed\n")

    with pytest.raises(IntegrityError):
        EnvironmentVersion.objects.filter(pk=second.pk).update(valid_from=T0 + timedelta(hours=1))


def test_versions_that_were_never_applied_overlap_nothing(demo: Environment) -> None:
    for number in range(3):
        demo.add_version(f"{DEMO}# {number}\n")

    assert demo.versions.as_of(T0).count() == 0


def test_a_simulated_environment_counts_while_no_real_one_is_applied(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")

    assert Environment.objects.applied() == demo


def test_a_real_environment_goes_before_a_simulated_one(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")
    Feed.objects.create(name="kalshi", feed_type="websocket")
    real = Environment.objects.create(name="real")
    real.add_version(DEMO.replace("feed: kalshi-sim", "feed: kalshi")).apply(at=T0, by="a")

    assert Environment.objects.applied() == real


def test_without_an_applied_environment_the_refusal_says_what_to_do(db: None) -> None:
    with pytest.raises(Refused, match="ssmd bootstrap"):
        Environment.objects.applied()


def test_two_applied_environments_must_be_told_apart(demo: Environment) -> None:
    demo.add_version(DEMO).apply(at=T0, by="a")
    other = Environment.objects.create(name="other")
    other.add_version(DEMO.replace("name: demo", "name: other")).apply(at=T0, by="a")

    with pytest.raises(Refused, match="demo, other"):
        Environment.objects.applied()

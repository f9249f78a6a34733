"""What is done to an environment is a row before it begins, and the row says how it ended."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from registry.models import DeploymentLog, Environment, EnvironmentVersion, Feed

DAY = date(2025, 12, 14)
SEAL = DeploymentLog.Action.SEAL
SCHEDULED = DeploymentLog.Trigger.SCHEDULED


@pytest.fixture
def version(feed: Feed) -> EnvironmentVersion:
    environment = Environment.objects.create(name="kraken-prod")
    return EnvironmentVersion.objects.create(environment=environment, version=1, feed=feed, config_hash="x")


def the_row() -> DeploymentLog:
    return DeploymentLog.objects.get()


def test_a_run_is_there_while_it_runs_and_completed_afterwards(version: EnvironmentVersion) -> None:
    with DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat", on=DAY) as run:
        assert (the_row().status, the_row().completed_at) == ("started", None)
        run.detail = {"files": 3}

    row = the_row()
    assert (row.status, row.error_message, row.detail, row.date) == ("completed", None, {"files": 3}, DAY)
    assert row.completed_at is not None and row.completed_at >= row.started_at


def test_a_failure_is_recorded_and_goes_on(version: EnvironmentVersion) -> None:
    with (
        pytest.raises(OSError, match="disk full"),
        DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat"),
    ):
        raise OSError("disk full")

    assert (the_row().status, the_row().error_message) == ("failed", "OSError: disk full")


def test_what_was_skipped_has_not_failed_when_its_caller_is_told_by_an_exception(
    version: EnvironmentVersion,
) -> None:
    with (
        pytest.raises(LookupError),
        DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat") as run,
    ):
        run.skip("nothing new")
        raise LookupError

    row = the_row()
    assert (row.status, row.error_message, row.detail) == ("skipped", None, {"skipped": "nothing new"})


def test_an_interrupted_run_has_failed(version: EnvironmentVersion) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        DeploymentLog.record(version, SEAL, trigger="manual", by="operator"),
    ):
        raise KeyboardInterrupt

    assert (the_row().status, the_row().error_message) == ("failed", "KeyboardInterrupt")


def test_steps_are_rows_below_their_run(version: EnvironmentVersion) -> None:
    with (
        pytest.raises(ValueError),
        DeploymentLog.record(version, "teardown", trigger=SCHEDULED, by="beat", on=DAY) as run,
    ):
        with run.record_step("drain", clients=3):
            pass
        with run.record_step("seal") as step:
            step.skip("sealed already")
        with run.record_step("verify"):
            raise ValueError

    steps = run.steps.order_by("id").values_list("step", "status", "action", "date")
    assert list(steps) == [
        ("drain", "completed", "teardown", DAY),
        ("seal", "skipped", "teardown", DAY),
        ("verify", "failed", "teardown", DAY),
    ]
    assert [row.status for row in DeploymentLog.objects.runs()] == ["failed"]


def test_a_crash_leaves_the_row_started(version: EnvironmentVersion) -> None:
    recorder = DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat")
    recorder.__enter__()  # as far as a killed process comes

    assert [row.action for row in DeploymentLog.objects.unfinished()] == ["seal"]
    recorder.__exit__(None, None, None)


@pytest.mark.django_db(transaction=True)
def test_a_run_cannot_be_recorded_inside_a_transaction_that_would_take_it_back(
    version: EnvironmentVersion,
) -> None:
    with (
        pytest.raises(RuntimeError, match="durable"),
        transaction.atomic(),
        DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat"),
    ):
        pass

    assert not DeploymentLog.objects.exists()


def test_a_clock_that_is_set_back_makes_no_negative_period(version: EnvironmentVersion) -> None:
    with DeploymentLog.record(version, SEAL, trigger=SCHEDULED, by="beat") as run:
        run.started_at = datetime.now(UTC) + timedelta(hours=1)

    assert the_row().completed_at == the_row().started_at


@pytest.mark.parametrize(
    "columns",
    [
        {"step": "drain"},  # without a run above it
        {"status": "completed"},  # without an end
        {"completed_at": datetime(2099, 1, 1, tzinfo=UTC)},  # an end of what goes on
        {"status": "failed", "completed_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_row_that_contradicts_itself_is_refused(
    version: EnvironmentVersion, columns: dict[str, object]
) -> None:
    row = DeploymentLog(environment_version=version, action=SEAL, trigger=SCHEDULED, triggered_by="beat")
    for name, value in columns.items():
        setattr(row, name, value)

    with pytest.raises(IntegrityError):
        row.save()

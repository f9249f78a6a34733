"""A migration is known once; each run of it says for which days it was, and what came of it."""

from datetime import date

import pytest
from django.db import IntegrityError

from registry.models import Feed, SchemaMigration, SchemaMigrationRun, SchemaVersion

DAYS = {"first_date": date(2025, 12, 1), "last_date": date(2025, 12, 14)}


@pytest.fixture
def migration(db: None) -> SchemaMigration:
    one, two = (
        SchemaVersion.objects.create(
            name="trade", version=version, format="capnp", effective_from=DAYS["first_date"]
        )
        for version in ("v1", "v2")
    )
    return SchemaMigration.objects.create(from_version=one, to_version=two, migration_type="reprocess")


def test_a_pair_of_versions_has_one_migration(migration: SchemaMigration) -> None:
    assert migration.status == "pending"

    with pytest.raises(IntegrityError):
        SchemaMigration.objects.create(
            from_version=migration.from_version, to_version=migration.to_version, migration_type="manual"
        )


def test_a_run_is_recorded_with_its_report(migration: SchemaMigration, feed: Feed) -> None:
    with migration.run(feed, **DAYS, by="operator") as run:
        assert SchemaMigration.objects.get().status == SchemaMigrationRun.objects.get().status == "running"
        run.report = {"changed": 3}

    row, known = SchemaMigrationRun.objects.get(), SchemaMigration.objects.get()
    assert (row.status, row.report, row.first_date) == ("completed", {"changed": 3}, DAYS["first_date"])
    assert (known.status, known.executed_by, known.executed_at) == ("completed", "operator", row.executed_at)


def test_a_run_that_fails_says_why_and_may_be_repeated(migration: SchemaMigration, feed: Feed) -> None:
    with pytest.raises(OSError), migration.run(feed, **DAYS, by="operator"):
        raise OSError("disk full")
    with migration.run(feed, **DAYS, by="operator"):
        pass

    runs = SchemaMigrationRun.objects.order_by("id").values_list("status", "error_message")
    assert list(runs) == [("failed", "OSError: disk full"), ("completed", None)]
    assert SchemaMigration.objects.get().status == "completed"


def test_the_days_of_a_run_are_in_order(migration: SchemaMigration, feed: Feed) -> None:
    with pytest.raises(IntegrityError):
        SchemaMigrationRun.objects.create(
            migration=migration,
            feed=feed,
            first_date=DAYS["last_date"],
            last_date=DAYS["first_date"],
            executed_by="operator",
        )

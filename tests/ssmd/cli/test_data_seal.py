"""`ssmd data seal`: what an operator sees of it."""

import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from archive import layout, seal_manifest
from archive.layout import events_file, raw_file
from archive.raw import part_keys
from archive.seal import in_this_process, seal_day
from archive.seal_manifest import Plan
from registry.models import DataInventory, DeploymentLog, Environment, Feed, SchemaMigrationRun, SealedDay
from ssmd import sealing
from ssmd.archives import ArchiveSpec, archives_of
from ssmd.tasks import record_parts_of
from tests.archive.days import DAY, FEED, START, add_session, records
from tests.streaming.kalshi.frames import trade

Ssmd = Callable[..., Any]
ONE = "kalshi-sim-20251214T120000Z-000001"


@pytest.fixture
def spec(ssmd: Ssmd, monkeypatch: pytest.MonkeyPatch) -> ArchiveSpec:
    """The archive of the demo environment with one recorded day; its steps are done in this process."""
    monkeypatch.setattr(sealing, "best_runner", lambda spec, *, progress: in_this_process)
    found = archives_of(_version())
    add_session(
        found.open().raw, ONE, records([START, *(trade("M1", n, trade_id=f"t{n}") for n in range(1, 9))])
    )
    return found


def _version() -> Any:
    return Environment.objects.get(name="demo").version_in_force(datetime.now(UTC))


def test_a_seal_that_died_before_the_registry_knew_is_told_to_it_the_next_time(
    ssmd: Ssmd, spec: ArchiveSpec
) -> None:
    seal_day(spec.open(), DAY, now_ns=time.time_ns())
    two_days_later = datetime(2025, 12, 16, 12, tzinfo=UTC)
    assert sealing.days_due(_version(), now=two_days_later) == [DAY]

    answer = ssmd("data", "seal", "--date", DAY.isoformat())

    assert answer.code == 0
    assert "version 1 holds everything" in answer.err
    row = SealedDay.objects.get(feed__name=FEED, date=DAY)
    assert (row.version, row.nats_lost_count) == (1, None), "without provisional parts nothing was measured"
    assert sealing.days_due(_version(), now=two_days_later) == []


def test_a_day_of_long_ago_that_was_never_sealed_is_due(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    record_parts_of("demo")

    assert sealing.days_due(_version(), now=datetime(2026, 6, 1, tzinfo=UTC)) == [DAY]


def test_the_feed_version_in_force_on_a_day_picks_the_mapper_of_its_seal(
    ssmd: Ssmd, spec: ArchiveSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "best_runner", lambda spec, *, progress: in_this_process)
    feed = Feed.objects.get(name=FEED)
    feed.revise(effective_from=date(2025, 12, 14), reason="test", parser_config={"mapper": "kalshi-both"})
    feed.revise(effective_from=date(2025, 12, 15), reason="test", parser_config={"mapper": "kalshi-fp"})

    sealed = ssmd("data", "seal", "--date", DAY.isoformat(), "--yes")

    archive = spec.open()
    manifest = seal_manifest.latest(archive.raw, FEED, DAY)
    plan = seal_manifest.read(archive.raw, layout.plan_key(FEED, DAY, 1), Plan)
    assert sealed.code == 0
    assert manifest is not None
    assert (plan.mapper, manifest.mappers) == ("kalshi-both", ["kalshi-both"])


def test_a_mapper_that_nobody_knows_is_refused_before_anything_is_planned(
    ssmd: Ssmd, spec: ArchiveSpec
) -> None:
    Feed.objects.get(name=FEED).revise(
        effective_from=DAY, reason="test", parser_config={"mapper": "kalshi-cent"}
    )

    answer = ssmd("data", "seal", "--date", DAY.isoformat())

    assert answer.code == 3
    assert "no mapper 'kalshi-cent'; there are kalshi-cents" in answer.err
    assert not [name for name in spec.open().raw.list("") if "_seal" in name]


def test_nothing_is_called_sound_where_nothing_was_looked_at(ssmd: Ssmd) -> None:
    every, one = ssmd("data", "verify"), ssmd("data", "verify", "--date", "2020-01-01")

    assert (every.code, every.out.partition(";")[0]) == (0, "The registry knows no sealed day")
    assert (one.code, one.out) == (4, "")


@pytest.mark.slow
def test_logs_are_not_among_the_data(tmp_path: Path) -> None:
    """In a process of its own: this one has loaded what logs long ago."""
    code = (
        "import sys; from ssmd.cli import main; main._module('data'); main._log_to_stderr();"
        "import structlog; structlog.get_logger().info('day sealed')"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "ssmd.settings", "SSMD_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)

    assert done.stdout == b""
    assert b"day sealed" in done.stderr


def test_normalize_says_which_file_it_made_again(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    seal_day(spec.open(), DAY, now_ns=time.time_ns())
    key = events_file(FEED, "v2", "trade", DAY, "M1")
    spec.open().normalized.delete(key)

    answer = ssmd("data", "normalize", "--date", DAY.isoformat())

    assert answer.code == 0
    assert f"{key} was gone or damaged: version 2 has it anew." in answer.err


def test_a_day_that_lost_its_parts_before_it_was_sealed_is_failed_until_they_are_back(
    ssmd: Ssmd, spec: ArchiveSpec
) -> None:
    record_parts_of("demo")
    raw = spec.open().raw
    [part] = part_keys(raw, FEED, DAY)
    manifest = raw.get(part.manifest)
    raw.delete(part.manifest)

    lost = ssmd("data", "verify", "--date", DAY.isoformat())
    after = DataInventory.objects.get(feed__name=FEED, date=DAY, data_type="raw").status
    raw.put_if_absent(part.manifest, manifest)
    found = ssmd("data", "verify", "--date", DAY.isoformat())

    assert (lost.code, after, found.code) == (8, "failed", 0)
    assert "records 1 to 9 of" in lost.out
    assert DataInventory.objects.get(feed__name=FEED, date=DAY, data_type="raw").status != "failed"


def test_a_damaged_raw_file_is_made_again_on_request_and_said_to_be(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    seal_day(spec.open(), DAY, now_ns=time.time_ns())
    key = raw_file(FEED, DAY, "trade", hour=12)
    spec.open().raw.delete(key)

    refused = ssmd("data", "normalize", "--date", DAY.isoformat())
    answer = ssmd("data", "seal", "--date", DAY.isoformat(), "--rebuild")

    assert (refused.code, "--rebuild" in refused.err) == (8, True)
    assert answer.code == 0
    assert f"{key} was gone or damaged: version 3 has it anew." in answer.err
    assert ssmd("data", "seal", "--rebuild").code == 2


def test_a_seal_that_was_killed_is_closed_as_failed_by_the_next_one(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    given = {"environment_version": _version(), "trigger": "manual", "triggered_by": "me"}
    killed = DeploymentLog.objects.create(action="seal", date=DAY, **given)
    others = [
        DeploymentLog.objects.create(action=action, date=on, **given)
        for action, on in (("seal", date(2025, 12, 15)), ("normalize", DAY))
    ]

    assert ssmd("data", "seal", "--date", DAY.isoformat()).code == 0

    killed.refresh_from_db()
    assert (killed.status, (killed.error_message or "").partition(":")[0]) == ("failed", "interrupted")
    assert DeploymentLog.objects.get(action="seal", date=DAY, status="completed")
    assert set(DeploymentLog.objects.unfinished()) == set(others)


def test_a_day_that_was_never_sealed_is_not_normalized(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    answer = ssmd("data", "normalize", "--date", DAY.isoformat())

    assert answer.code == 4
    assert f"ssmd data seal --date {DAY}" in answer.err
    assert not SealedDay.objects.exists()
    assert not SchemaMigrationRun.objects.exists()


def test_where_damage_was_noticed_is_not_called_where_it_is(ssmd: Ssmd, spec: ArchiveSpec) -> None:
    [part] = part_keys(spec.open().raw, FEED, DAY)
    data = bytearray(spec.open().raw.get(part.data))
    data[-9] ^= 4
    spec.open().raw.delete(part.data)
    spec.open().raw.put_if_absent(part.data, bytes(data))

    answer = ssmd("data", "verify", "--date", DAY.isoformat())

    assert answer.code == 8
    assert "noticed at" in answer.out.splitlines()[0]
    assert "the damage lies there or before" in answer.err

"""`ssmd why`, and the verbs of `ssmd data` that judge a day, on an archive that was really written."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from structlog.testing import capture_logs

from archive.gap_rows import unix_ns
from archive.inventory import record_sealed_day
from archive.layout import parse_manifest_key
from archive.seal import seal_day
from archive.shipper import Shipper, ShipperConfig
from registry.models import DataGap, DataInventory, Environment, EnvironmentVersion
from ssmd.archived import archived_in
from ssmd.archives import archives_of
from ssmd.tasks import record_parts_of
from streaming.capture_log import CaptureLog
from tests.archive.conftest import Clock, start_mark
from tests.archive.whole_day import ON, Recorder, record_whole_day

Ssmd = Callable[..., Any]
WHY = ("why", "kalshi-sim", str(ON))


class Home:
    """An environment's folder of capture logs, and its archive."""

    def __init__(self, folder: Path) -> None:
        self._capture = folder / "capture"
        self.version: EnvironmentVersion = Environment.objects.get(name="demo").version_in_force(
            timezone.now()
        )

    def session(self, name: str, *, at_ns: int) -> CaptureLog:
        log = CaptureLog(self._capture / name, environment="demo", session=name, clock=Clock(at_ns))
        log.mark(start_mark())
        return log

    def ship(self) -> None:
        halt = threading.Event()
        store = archives_of(self.version).open().raw
        config = ShipperConfig(
            environment="demo", feed="kalshi-sim", capture=self._capture, store=store, version="0.1.0"
        )
        shipper = Shipper(config, halt)
        shipper.step()
        halt.set()
        shipper.work()
        record_parts_of("demo")

    def seal(self, on: date = ON) -> None:
        seal_day(archives_of(self.version).open(), on, now_ns=unix_ns(timezone.now()))
        record_sealed_day(archived_in(self.version), on, now_ns=unix_ns(timezone.now()))


@pytest.fixture
def home(ssmd: Ssmd, tmp_path: Path) -> Iterator[Home]:
    with capture_logs():  # they would stand among what the commands print
        yield Home(tmp_path)


@pytest.fixture
def eventful(home: Home) -> Home:
    record_whole_day(home.session, home.ship)
    return home


@pytest.fixture
def quiet(home: Home) -> Home:
    recorder = Recorder(home.session, "20251213T235000Z-a", -600)
    recorder.connect(-600, -595)
    recorder.stop(87_000)
    home.ship()
    return home


def test_a_day_with_gaps_is_explained_gap_by_gap(ssmd: Ssmd, eventful: Home) -> None:
    answer = ssmd(*WHY)

    assert answer.code == 7
    lines = answer.out.splitlines()
    assert (
        lines[0]
        == "kalshi-sim 2025-12-14 is partial (degraded): 5 unplanned gaps, 99.23 % of its trading time captured."
    )
    assert "06:00:00Z  30.000 s  connection_lost" in answer.out
    assert "ssmd data seal --feed kalshi-sim --date 2025-12-14" in lines[-1]
    assert max(map(len, lines)) <= 120


def test_the_same_as_a_document(ssmd: Ssmd, eventful: Home) -> None:
    answer = ssmd(*WHY, "--json")

    assert (answer.code, answer.data["status"], answer.data["score"]) == (7, "partial", 0.99)
    assert [gap["gap_type"] for gap in answer.data["gaps"]] == [
        "planned_teardown",
        "connection_lost",
        "sequence_gap",
        "sequence_gap",
        "subscription_incomplete",
        "process_crash",
    ]
    assert len(answer.data["sessions"]) == 3


def test_a_sealed_day_without_an_unplanned_gap_is_complete(ssmd: Ssmd, quiet: Home) -> None:
    before = ssmd(*WHY)
    quiet.seal()
    after = ssmd(*WHY)

    assert (before.code, after.code) == (7, 0)
    assert "(pending): it is not sealed" in before.out.splitlines()[0]
    assert after.out.splitlines()[0].startswith("kalshi-sim 2025-12-14 is complete: sealed as version 1")
    assert set(DataInventory.objects.filter(date=ON).values_list("data_type", "status")) == {
        ("raw", "complete"),
        ("normalized", "complete"),
    }


def test_a_day_that_was_planned_not_to_be_recorded_is_not_complete(ssmd: Ssmd, home: Home) -> None:
    recorder = Recorder(home.session, "20251213T235000Z-a", -600)
    recorder.connect(-600, -595)
    recorder.stop(864)
    home.ship()
    home.seal()

    answer, listed = ssmd(*WHY), ssmd("data", "inventory", "--from", str(ON), "--to", str(ON))

    assert answer.code == 7
    first = "kalshi-sim 2025-12-14 is partial (degraded): only 1.00 % of its trading time was captured."
    assert answer.out.splitlines()[0] == first
    assert listed.out.splitlines()[-1].split()[-2:] == ["1.00", "%"]
    assert "partial" in listed.out


def test_a_day_of_which_nothing_is_known_names_the_latest_one(ssmd: Ssmd, quiet: Home) -> None:
    answer = ssmd("why", "kalshi-sim", "2025-12-12")

    assert answer.code == 4
    assert "Latest available: 2025-12-15" in answer.err
    assert ssmd("why", "kalsi", "2025-12-12").code == 4


def test_a_whole_day_within_a_gap_says_which(ssmd: Ssmd, quiet: Home) -> None:
    answer = ssmd("why", "kalshi-sim", "2025-12-17")

    assert answer.code == 4
    assert "the whole day lies in a gap, planned_teardown" in answer.err


def test_a_hole_that_nothing_explains_is_shouted(ssmd: Ssmd, quiet: Home) -> None:
    store = archives_of(quiet.version).open().raw
    key = [key for key in store.list("kalshi-sim/2025/12/14/") if parse_manifest_key(key)][3]
    store.delete(key)
    ssmd("data", "reindex", "--all", "--yes")

    answer = ssmd(*WHY)

    assert answer.code == 7
    assert "is failed (degraded)" in answer.out
    shouted = r"INTEGRITY FAILURE: from 02:59:\d\dZ to 04:00:\d\dZ nothing was recorded and no gap says why"
    assert re.search(shouted, answer.out)


def test_a_days_quality_shows_score_terms_coverage_and_issues(ssmd: Ssmd, eventful: Home) -> None:
    eventful.seal()

    told = ssmd("data", "quality", "--date", str(ON), "--json").data
    shown = ssmd("data", "quality", "--date", str(ON)).out

    assert told["coverage"]["ticker"] == {
        "captured": pytest.approx(85_740, abs=0.1),
        "gap": pytest.approx(660, abs=0.1),
    }
    assert [term["name"] for term in told["score_terms"]] == ["unplanned_gap_in_trading", "errors"]
    assert told["issues"][0]["severity"] == "error"
    assert "Condition: degraded (partial)" in shown
    assert max(map(len, shown.splitlines())) <= 120


def test_quality_of_an_unknown_day_is_not_found(ssmd: Ssmd, quiet: Home) -> None:
    assert ssmd("data", "quality", "--date", "2025-12-01").code == 4


def test_a_gap_over_midnights_is_one_line_for_people_and_a_row_a_day_for_programs(
    ssmd: Ssmd, quiet: Home
) -> None:
    assert len(ssmd("data", "gaps").out.splitlines()) == 2
    assert len(ssmd("data", "gaps", "--json").data) == DataGap.objects.count() > 300


def test_reindex_asks_first_and_tells_what_it_did(ssmd: Ssmd, quiet: Home) -> None:
    DataInventory.objects.all().delete()

    refused = ssmd("data", "reindex", "--all")
    done = ssmd("data", "reindex", "--all", "--yes", "--json")

    assert (refused.code, done.code) == (3, 0)
    assert done.data["damaged"] == []
    assert DataInventory.objects.count() == 3


def test_reindex_names_a_damaged_manifest_and_goes_on(ssmd: Ssmd, quiet: Home) -> None:
    store = archives_of(quiet.version).open().raw
    key = [key for key in store.list("kalshi-sim/2025/12/14/") if parse_manifest_key(key)][3]
    store.delete(key)
    store.put_if_absent(key, b"{}")

    answer = ssmd("data", "reindex", "--date", str(ON), "--yes")

    assert answer.code == 8
    assert key in answer.err


def test_an_end_that_may_still_come_is_told(ssmd: Ssmd, home: Home) -> None:
    recorder = Recorder(home.session, "20251213T235000Z-a", -600)
    recorder.connect(-600, -595)
    recorder.at(7_200)
    home.ship()
    home.seal()

    answer = ssmd(*WHY)

    assert answer.code == 7
    assert "Unfinished: kalshi-sim-20251213T235000Z-a has no end" in answer.out

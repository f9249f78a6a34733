"""B1, B8, B14 with whole processes: exchange, connector, shipper."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.system import System, system
from tests.faults.capture_rig import gaps_of
from tests.faults.proof import Outcome, fault
from tests.oracle import judge_archive
from tests.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

KILLS = (
    "capture.before_append=kill@40",
    "capture.half_appended=kill@60",
    "capture.after_append=kill@50",
    "capture.sync=kill@9",
)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path / "home") as found:
        found.environment["SSMD_TESTING"] = "1"
        found.start_exchange("--seed", "7", "--markets", "4", "--rate", "200")
        yield found


def verdict(one: System) -> Outcome:
    """What came of it, once everything is shipped."""
    one.stop_gently("exchange")
    one.start_shipper()
    until(lambda: one.log("shipper").count("session taken up") > 0, seconds=20, what="the shipper ships")
    time.sleep(2.5)  # its second turn ends what is dead
    one.stop_gently("shipper")
    archive = one.archive()
    return Outcome(gaps_of(archive), faults=tuple(judge_archive(one.sent(), archive).faults))


@fault("B1", "B8", "B14")
def test_connectors_that_are_killed_signalled_and_refused_lose_nothing_unnoticed(one: System) -> None:
    """One system, many connectors, one verdict at the end."""
    for point in KILLS:
        one.environment["SSMD_FAILPOINTS"] = point
        one.start_connector()
        assert one.wait_for("connector", seconds=30) == -signal.SIGKILL
    del one.environment["SSMD_FAILPOINTS"]
    for number in (signal.SIGTERM, signal.SIGHUP):
        (one.home / "connector.log").unlink()
        one.start_connector()
        one.wait_until_captured()
        if number == signal.SIGTERM:
            second = one.ssmd("connector", "start", "--env", "demo")
            assert (second.returncode, "running already" in second.stderr) == (5, True)
        assert one.stop("connector", how=number, seconds=20) == 0
        last = json.loads(one.log("connector").splitlines()[-1])
        assert (last["msg"], last["reason"]) == ("session ended", "stopped")

    outcome = verdict(one)

    assert outcome.faults == ()
    assert outcome.gaps == ("process_crash",) * len(KILLS)

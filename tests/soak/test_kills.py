"""Whole recorded windows while processes are killed again and again: the oracle finds nothing lost unnoticed."""

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.system import System, notices, system, trades
from tests.oracle import judge_archive
from tests.oracle_of_bus import judge_order, judge_trades
from tests.running import until

pytestmark = [pytest.mark.soak(minutes=1.5), pytest.mark.timeout(600)]

WINDOWS = (
    "KXGOLD15M-26AUG050800-00", "KXGOLD15M-26AUG101900-00", "KXGOLD15M-26AUG102000-00", "KXGOLD15M-26AUG102015-15",
    "KXGOLD15M-26AUG102045-45", "KXGOLD15M-26AUG102100-00", "KXGOLD15M-26AUG102115-15", "KXGOLD15M-26AUG102145-45",
    "KXGOLD15M-26AUG102200-00", "KXGOLD15M-26AUG121300-00",
)  # fmt: skip
SPEED = "25"
KILL_EVERY_SECONDS = (3.0, 10.0)


def _killed(name: str, start_again: Callable[[System], object]) -> Callable[[System], None]:
    def kill(one: System) -> None:
        one.stop(name, how=signal.SIGKILL)
        start_again(one)

    return kill


VICTIMS = {
    "connector": _killed("connector", System.start_connector),
    "shipper": _killed("shipper", System.start_shipper),
    "nats": _killed("nats", System.start_nats),
}


def _ship_the_rest(one: System) -> None:
    """A shipper that was killed a moment ago may be too young to take a signal: the last one has begun its work."""
    one.stop("shipper", how=signal.SIGKILL)
    begun = one.log("shipper").count('"shipping"')
    one.start_shipper()
    until(lambda: one.log("shipper").count('"shipping"') > begun, seconds=30, what="a shipper is at work")
    assert one.stop("shipper") == 0


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("victims", [("connector",), ("shipper",), ("nats",), tuple(VICTIMS)], ids="+".join)
def test_kills_lose_nothing_unnoticed_and_double_nothing(
    tmp_path: Path, recordings: Path, chance: random.Random, window: str, victims: tuple[str, ...]
) -> None:
    with system(tmp_path / "home") as one:
        one.start_exchange(
            "--replay", str(recordings / "gold15m" / "events" / window), "--speed", SPEED, "--once"
        )
        one.start_shipper()
        one.start_connector()
        while one.running["exchange"].poll() is None:
            time.sleep(chance.uniform(*KILL_EVERY_SECONDS))
            VICTIMS[chance.choice(victims)](one)
        one.wait_for("exchange", seconds=10)
        one.stop("connector")
        _ship_the_rest(one)
        sent, archive, events = one.sent(), one.archive(), one.published()

    verdict = judge_archive(sent, archive)
    assert verdict.faults == []
    assert verdict.archived + verdict.disclosed == verdict.sent > 10_000
    assert judge_trades(archive, trades(events), notices(events)) == []
    assert judge_order(events) == []

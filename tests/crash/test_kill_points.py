"""Any process may die at any step: nothing is lost unnoticed, nothing is there twice, and the day is sealed whole."""

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from streaming.failpoints import POINTS
from tests.crash.conftest import Template
from tests.crash.scene import ROLES, beginning_of, copy_of, record, windows
from tests.crash.verdict import Verdict, judge

# (at its first time, in the middle of a run): how often a run of a quarter of an hour stands there.
TIMES = {
    "capture.before_append": (1, 400),
    "capture.half_appended": (1, 300),
    "capture.after_append": (1, 500),
    "capture.sync": (1, 6),
    "capture.new_segment": (1, 3),
    "publisher.after_publish": (1, 700),
    "publisher.before_cursor": (1, 5),
    "shipper.before_data": (1, 4),
    "shipper.after_data": (1, 4),
    "shipper.after_manifest": (1, 4),
    "shipper.before_cursor": (1, 4),
    "shipper.before_trim": (1, 4),
    "shipper.mid_trim": (1, 2),
    "archiver.after_fetch": (1, 9),
    "archiver.before_data": (1, 4),
    "archiver.after_data": (1, 4),
    "archiver.after_manifest": (1, 4),
    "archiver.after_part": (1, 3),
    "gc.mid_delete": (1, 7),
}
CASES = [(point, times) for point in POINTS for times in TIMES.get(point, (1,))]
FRAMES = 5_000  # of the short runs
CHOSEN = [
    ("capture.half_appended", 40),
    ("publisher.before_cursor", 2),
    ("shipper.after_data", 3),
    ("shipper.after_manifest", 1),
    ("archiver.after_data", 2),
    ("inventory.mid_rows", 1),
    ("seal.shard_written", 1),
    ("seal.before_commit", 1),
]


def survive(
    home: Path, template: Template, recording: Path, point: str, times: int, *, speed: str
) -> Verdict:
    one = copy_of(template.home, home, template.exchange_port)
    failpoints = f"{point}=kill@{times}"
    try:
        record(
            one, recording, speed=speed, role=ROLES.get(point.partition(".")[0], ""), failpoints=failpoints
        )
        verdict = judge(one, failpoints)
    finally:
        one.stop_all()
    assert one.deaths == 1, f"{failpoints}: killed {one.deaths} times"
    assert not verdict.faults, "\n".join(verdict.faults[:6])
    assert verdict.frames > 1_000
    return verdict


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("point", "times"), CHOSEN)
def test_eight_deaths_lose_nothing(
    tmp_path: Path, template: Template, recordings: Path, point: str, times: int
) -> None:
    recording = beginning_of(windows(recordings)[0], tmp_path / "recording", FRAMES)
    survive(tmp_path / "home", template, recording, point, times, speed="0")


WINDOWS = 10
LARGE = 2  # of them: of 140,000 frames and more


def _soaks() -> list[ParameterSet]:
    """Every case with its window, by turns."""
    return [
        pytest.param(
            *case,
            number % WINDOWS,
            marks=pytest.mark.soak(minutes=0.8 if number % WINDOWS < WINDOWS - LARGE else 3),
        )
        for number, case in enumerate(CASES)
    ]


@pytest.mark.timeout(500)
@pytest.mark.parametrize(("point", "times", "window"), _soaks())
def test_every_kill_point_loses_nothing(
    tmp_path: Path, template: Template, recordings: Path, point: str, times: int, window: int
) -> None:
    speed = "60" if window < WINDOWS - LARGE else "20"
    survive(tmp_path / "home", template, windows(recordings)[window], point, times, speed=speed)


def test_every_failpoint_has_its_cases() -> None:
    assert {point for point, _ in CASES} == set(POINTS)
    assert set(TIMES) <= set(POINTS)
    assert len(CASES) >= 40

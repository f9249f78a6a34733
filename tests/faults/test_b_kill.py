"""B1: the recorder is killed at every step of an append, of a sync and of a new segment."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archive import session_shipper
from tests.faults.capture_rig import SHIPPED, Rig
from tests.faults.proof import Outcome, fault, prove, watched

pytestmark = pytest.mark.slow  # each starts processes of its own

KILLS = [
    "capture.before_append=kill@9",
    "capture.half_appended=kill@1",
    "capture.half_appended=kill@17",
    "capture.after_append=kill@12",
    "capture.sync=kill@2",
    "capture.sync=kill@4",
    "capture.new_segment=kill@2",
]


def killed_at(point: str, home: Path, unhandled: Callable[[], None]) -> Callable[[bool], Outcome]:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(home / str(is_handled))
        if not is_handled:
            unhandled()
        with watched() as risen:
            died = rig.record(failpoints=point)
            rig.ship()
        return rig.outcome(risen, *([] if died.returncode == -9 else [f"not killed: {died}"]))

    return scenario


@fault("B1")
@pytest.mark.parametrize("point", KILLS)
def test_a_recorder_killed_anywhere_loses_nothing_unnoticed(
    point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unhandled() -> None:
        monkeypatch.setattr(session_shipper, "end_dead_session", lambda folder: False)

    prove(killed_at(point, tmp_path, unhandled), gaps=("process_crash",), metric=SHIPPED)


def test_a_recorder_killed_before_its_first_segment_has_its_name_leaves_no_segment(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")

    assert rig.record(failpoints="capture.new_segment=kill@1").returncode == -9

    assert list(rig.folder.glob("*.log")) == []
    rig.ship()
    assert rig.archive() == []

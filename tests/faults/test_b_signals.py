"""B14: signals end the recording in order; a second one ends it there and then, and the loss is told."""

import signal
from pathlib import Path

import pytest

from archive import session_shipper
from tests.faults.capture_rig import SHIPPED, Rig
from tests.faults.proof import Outcome, fault, prove, watched

pytestmark = pytest.mark.slow  # each starts processes of its own


@fault("B14")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_session_in_order(number: signal.Signals, tmp_path: Path) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        with watched() as risen:
            code = rig.signalled(*([] if is_handled else ["no-signals"]), numbers=[number])
            rig.ship()
        return rig.outcome(risen, *([] if code == 0 else [f"exit code {code}"]))

    prove(scenario, gaps=(), metric=SHIPPED)


@fault("B14")
def test_a_second_signal_ends_what_does_not_come_to_its_end_and_the_loss_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(session_shipper, "end_dead_session", lambda folder: False)
        with watched() as risen:
            code = rig.signalled("deaf", numbers=[signal.SIGTERM, signal.SIGTERM])
            rig.ship()
        return rig.outcome(risen, *([] if code == 128 + signal.SIGTERM else [f"exit code {code}"]))

    prove(scenario, gaps=("process_crash",), metric=SHIPPED)

"""B6, B7, B8, B9, B16: what a connector finds when it starts, and who else writes."""

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pytest

from registry.refusal import ExitCode, Refused
from streaming import (
    capture_log,
    connector,
    connector_main,
    dead_session,
    lifetime,
    marks,
    metrics,
    old_sessions,
    records,
)
from streaming.capture_log import CaptureLog
from streaming.file_lock import FileLock, Locked
from streaming.handover import seat
from streaming.log_reader import CaptureLogReader, segments
from streaming.records import Kind
from tests.faults.b_venue import Venue, config_for
from tests.faults.capture_rig import ROOT, SHIPPED, Rig
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.recorder import ENVIRONMENT, FEED, SESSION, frame, start_mark

RECEIVED = f'ssmd_connector_messages_received_total{{feed="{FEED}",type="trade"}}'
BLOCKED = f'ssmd_shipper_sessions_blocked{{feed="{FEED}"}}'


def refused(rig: Rig) -> ExitCode | None:
    """With which code a connector does not even start."""
    try:
        connector_main.run(config_for(rig, Venue(rig, url="ws://127.0.0.1:1/")))
    except Refused as error:
        return error.exit_code
    except (ExceptionGroup, OSError, SystemExit):
        return None
    return None


def nothing_started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would run, if it were not refused first."""
    started: list[str] = []
    monkeypatch.setattr(lifetime, "run", lambda name, *jobs: started.append(name))
    return started


def must_refuse(rig: Rig, code: ExitCode, started: list[str]) -> Outcome:
    found = refused(rig)
    also = () if (found, started) == (code, []) else (f"refused with {found}, started {started}",)
    return Outcome(also=also)


# -- B6 ----------------------------------------------------------------------------------------------


@fault("B6")
def test_a_capture_folder_that_cannot_be_written_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = nothing_started(monkeypatch)

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(connector_main, "seat", lambda *which, **how: seat(tmp_path / "another"))
        # Nobody makes folders in sysfs, not even root, whom permissions would not stop.
        rig.capture = Path("/sys/ssmd") / ENVIRONMENT
        return must_refuse(rig, ExitCode.PERMISSION, started)

    prove(scenario, gaps=(), metric=RECEIVED, at_least=0)


# -- B7 ----------------------------------------------------------------------------------------------


def foreign_logs(rig: Rig) -> dict[Path, bytes]:
    """A log of another environment, and one of a later format, both of writers that died."""
    for environment, name in (("other", "kalshi-sim-o"), (ENVIRONMENT, "kalshi-sim-v")):
        log = CaptureLog(rig.capture / name, environment=environment, session=name)
        log.mark(start_mark())
        log.append(frame(1), kind=Kind.TEXT, connection=1)
        os.close(log._file)
        log._lock.release()
    [later] = segments(rig.capture / "kalshi-sim-v")
    data = bytearray(later.read_bytes())
    data[8] = 2
    end = len(records.header(ENVIRONMENT, "kalshi-sim-v")) - 4
    data[end : end + 4] = google_crc32c.value(bytes(data[:end])).to_bytes(4, "little")
    later.write_bytes(data)
    return {path: path.read_bytes() for path in rig.capture.glob("*/*.log")}


@fault("B7")
def test_a_log_of_another_environment_or_format_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(folder: Path, *, environment: str | None = None) -> bool:
        return dead_session_end(folder)

    dead_session_end = dead_session.end_dead_session

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        before = foreign_logs(rig)
        if not is_handled:
            monkeypatch.setattr(dead_session, "end_dead_session", careless)
        with watched() as risen:
            notices = asyncio.run(old_sessions.end_old_sessions(rig.capture, ENVIRONMENT))
            rig.ship()
        after = {path: path.read_bytes() for path in rig.capture.glob("*/*.log")}
        also = [] if after == before and notices == [] else ["a foreign log was written to"]
        return rig.outcome(risen, *also)

    metrics.SHIPPER_BLOCKED.labels(FEED).set(0)
    prove(scenario, gaps=(), metric=BLOCKED, at_least=2)


# -- B8 ----------------------------------------------------------------------------------------------


@fault("B8")
def test_a_second_connector_of_an_environment_is_refused_with_5(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = nothing_started(monkeypatch)

    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr(connector_main, "seat", lambda *which, **how: seat(tmp_path / "another"))
        with FileLock(rig.capture / "connector.lock"):
            return must_refuse(rig, ExitCode.CONFLICT, started)

    prove(scenario, gaps=(), metric=RECEIVED, at_least=0)


def test_two_connectors_that_run_all_the_same_have_sessions_of_their_own(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    config = config_for(rig, Venue(rig, url="ws://127.0.0.1:1/"))

    one, other = connector.Connector(config), connector.Connector(config)

    assert one.session != other.session
    assert one.folder != other.folder


# -- B9 ----------------------------------------------------------------------------------------------


def without_segment_lock(path: Path) -> Callable[[int, Path], None]:
    return lambda handle, name: None


@fault("B9")
def test_a_lock_that_was_deleted_does_not_make_a_second_writer_of_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr("streaming.torn_tail.lock_handle", without_segment_lock(tmp_path))
            monkeypatch.setattr(capture_log, "is_locked", lambda path: False)
        log = CaptureLog(rig.folder, environment=ENVIRONMENT, session=SESSION)
        log.mark(start_mark())
        log.mark(marks.ConnectionOpen(1), connection=1)
        (rig.folder / "writer.lock").unlink()
        dead_session.end_dead_session(rig.folder)
        rig.ship()
        log.append(frame(1), kind=Kind.TEXT, connection=1)
        rig.ledger.write_text(json.dumps({"conn": 1, "frame": frame(1).decode()}) + "\n")
        log.mark(marks.SessionEnd("stopped"))
        log.close()
        with watched() as risen:
            rig.ship()
        return rig.outcome(risen)

    prove(scenario, gaps=(), metric=SHIPPED)


def test_a_session_is_written_by_one_whatever_becomes_of_its_lock_file(tmp_path: Path) -> None:
    log = CaptureLog(tmp_path / "s", environment=ENVIRONMENT, session="s", segment_bytes=300)
    for _ in range(2):
        (log.folder / "writer.lock").unlink(missing_ok=True)
        assert capture_log.is_writer_alive(log.folder)
        with pytest.raises(Locked):
            CaptureLog(log.folder, environment=ENVIRONMENT, session="s")
        for number in range(20):  # into other segments, which are locked likewise
            log.append(frame(number), kind=Kind.TEXT, connection=1)

    log.close()
    assert not capture_log.is_writer_alive(log.folder)
    assert len(segments(log.folder)) > 2


def test_a_lock_taken_again_after_its_file_was_deleted_is_not_held_by_the_first(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "lock")
    (tmp_path / "lock").unlink()

    with FileLock(tmp_path / "lock") as second:
        assert (first.is_held(), second.is_held()) == (False, True)
    first.release()


# -- B16 ---------------------------------------------------------------------------------------------

STARTED = """
import resource, sys
from pathlib import Path
from registry.refusal import Refused
from streaming import connector_main
from tests.faults.b_venue import Venue, config_for
from tests.faults.capture_rig import Rig
rig = Rig(Path(sys.argv[1]))
if sys.argv[2] == "False":
    connector_main._require_descriptors = lambda: None
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    connector_main.run(config_for(rig, Venue(rig, url="ws://127.0.0.1:1/")))
except Refused as refused:
    sys.exit(f"{refused}" if refused.exit_code != 6 else print(refused) or 6)
"""


@pytest.mark.slow
@fault("B16")
def test_too_few_file_descriptors_are_refused_at_the_start(tmp_path: Path) -> None:
    def scenario(is_handled: bool) -> Outcome:
        command = [sys.executable, "-c", STARTED, str(tmp_path / str(is_handled)), str(is_handled), "24"]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=4, check=False,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": "ssmd.settings"},
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Outcome(also=("it runs, and will fail in the middle of recording",))
        is_told = done.returncode == ExitCode.UNAVAILABLE and "ulimit" in done.stdout
        return Outcome(also=() if is_told else (f"{done.returncode}: {done.stderr[-300:]}",))

    prove(scenario, gaps=(), metric=RECEIVED, at_least=0)


@fault("B16")
def test_descriptors_that_run_out_while_recording_end_the_process_and_the_loss_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        rig = Rig(tmp_path / str(is_handled))
        if not is_handled:
            monkeypatch.setattr("archive.session_shipper.end_dead_session", lambda folder: False)
        with watched() as risen:
            died = rig.record("no-descriptors", frames=2000)
            rig.ship()
        return rig.outcome(risen, *([] if died.returncode not in (0, -9) else [f"{died.returncode}"]))

    prove(scenario, gaps=("process_crash",), metric=SHIPPED)


def test_the_limit_is_raised_as_far_as_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: raised.append(limits))

    connector_main._require_descriptors()

    assert raised == [(1024, 1024)]


def test_half_a_header_is_ended_like_any_crash_and_can_then_be_shipped(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    log = CaptureLog(rig.folder, environment=ENVIRONMENT, session=SESSION)
    log.close()
    [path] = segments(rig.folder)
    path.write_bytes(path.read_bytes()[:9])

    asyncio.run(old_sessions.end_old_sessions(rig.capture, ENVIRONMENT))

    assert dead_session.has_ended(rig.folder)
    assert [record.n for record in CaptureLogReader(rig.folder).read()] == [1, 2]


def test_a_log_shorter_than_its_archive_gets_no_marks(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "rig")
    rig.record(frames=50, failpoints="capture.after_append=kill@9")
    shutil.copytree(rig.folder, tmp_path / "kept")
    rig.ship()
    for path in segments(rig.folder):
        path.unlink()
    for path in segments(tmp_path / "kept"):
        data = path.read_bytes()
        (rig.folder / path.name).write_bytes(data[: len(data) // 2])
    before = {path: path.read_bytes() for path in segments(rig.folder)}

    asyncio.run(old_sessions.end_old_sessions(rig.capture, ENVIRONMENT))

    assert {path: path.read_bytes() for path in segments(rig.folder)} == before

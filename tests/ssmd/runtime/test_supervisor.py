import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ssmd.runtime import embedded
from ssmd.runtime.programs import Program
from ssmd.runtime.supervisor import Supervisor, configuration
from ssmd.runtime.watch import change

SLEEP = ("sleep", "60")


def until(condition: Callable[[], object], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def is_gone(pid: int) -> bool:
    """Ended: no entry, or one that only waits for its parent to look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_the_configuration_holds_no_path() -> None:
    text, commands = configuration([Program("nats", ("/a b/nats-server", "-c", "/a #b/x.conf"))])
    assert "/a" not in text
    assert "'/a b/nats-server' -c '/a #b/x.conf'" in commands["SSMD_RUN_NATS"]


def test_no_program_stands_where_a_folder_of_data_shadows_our_packages(
    supervisor: Supervisor, data_folder: Path
) -> None:
    supervisor.start([Program("web", SLEEP)])
    supervisor.wait_until_ready()
    supervisor.start_program("web")
    where = Path(f"/proc/{supervisor.states()['web'].pid}/cwd")
    assert until(lambda: where.resolve() == data_folder / "run")


def test_servers_run_in_a_folder_with_an_awkward_name(
    supervisor: Supervisor, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NATS_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    bus, broker = embedded.servers(data_folder)
    assert bus.program
    assert broker.program

    supervisor.start([bus.program, broker.program])
    supervisor.wait_until_ready()
    supervisor.start_program("nats")
    supervisor.start_program("valkey")

    assert until(lambda: not embedded.port_is_free(bus.port) and not embedded.port_is_free(broker.port))
    supervisor.stop_programs(["valkey", "nats"])
    assert embedded.port_is_free(bus.port)
    assert "Server Exiting" in (data_folder / "log" / "nats.log").read_text()


def test_a_program_that_ends_is_started_again_and_said(supervisor: Supervisor) -> None:
    supervisor.start([Program("web", SLEEP)])
    supervisor.wait_until_ready()
    supervisor.start_program("web")
    before = supervisor.states()["web"]

    os.kill(before.pid, signal.SIGKILL)

    assert until(lambda: supervisor.states()["web"].pid not in (0, before.pid))
    assert "started again" in change(before, supervisor.states()["web"])


def test_a_program_that_may_end_is_left_alone(supervisor: Supervisor) -> None:
    supervisor.start([Program("exchange", ("sleep", "0.1"), ends_by_itself=True)])
    supervisor.wait_until_ready()
    supervisor.start_program("exchange")
    assert until(lambda: supervisor.states()["exchange"].state == "EXITED")


def test_stopping_what_does_not_run_is_harmless(supervisor: Supervisor) -> None:
    supervisor.start([Program("web", SLEEP)])
    supervisor.wait_until_ready()
    supervisor.stop_programs(["web", "nothing"])
    assert supervisor.states()["web"].pid == 0


def test_a_killed_supervisord_leaves_no_program(supervisor: Supervisor) -> None:
    supervisor.start([Program("web", SLEEP)])
    supervisor.wait_until_ready()
    supervisor.start_program("web")
    program = supervisor.states()["web"].pid

    supervisor.kill()

    assert until(lambda: is_gone(program), 5)
    assert supervisor.states() == {}


STARTER = """
import os, sys, time
from pathlib import Path
from ssmd.runtime.programs import Program
from ssmd.runtime.supervisor import Supervisor
supervisor = Supervisor(Path(sys.argv[1]), dict(os.environ))
supervisor.start([Program("web", ("sleep", "60"))])
supervisor.wait_until_ready()
supervisor.start_program("web")
print(supervisor._process.pid, supervisor.states()["web"].pid, flush=True)
time.sleep(60)
"""


def test_a_killed_parent_leaves_neither_supervisord_nor_a_program(data_folder: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(data_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        started = [int(word) for word in parent.stdout.readline().split()]
        assert len(started) == 2

        parent.kill()

        assert until(lambda: all(is_gone(pid) for pid in started), 5)
    shutil.rmtree((data_folder / "run" / "control_folder").read_text())


def test_the_control_folder_that_a_killed_run_left_is_removed(data_folder: Path, tmp_path: Path) -> None:
    left = tmp_path / "ssmd-left"
    left.mkdir()
    (data_folder / "run" / "control_folder").write_text(str(left))
    supervisor = Supervisor(data_folder, dict(os.environ))
    try:
        supervisor.start([])
        assert not left.exists()
    finally:
        supervisor.close()


def test_another_process_can_ask_what_runs(supervisor: Supervisor, data_folder: Path) -> None:
    assert Supervisor.of_running(data_folder) is None
    supervisor.start([Program("web", SLEEP)])
    supervisor.wait_until_ready()

    asked = Supervisor.of_running(data_folder)

    assert asked is not None
    assert asked.states() == supervisor.states() != {}

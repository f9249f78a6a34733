"""`ssmd up` itself, with every real program, in a folder with a space."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssmd.runtime import programs
from ssmd.runtime.embedded import free_port

READY_SECONDS = 90.0  # on a busy machine; alone it takes four


class Up:
    """One run of `ssmd up`."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        self.web = free_port(besides={})
        ports = ["--web-port", str(self.web), "--exchange-port", str(free_port(besides={"web": self.web}))]
        clean = {name: value for name, value in os.environ.items() if name not in ("NATS_URL", "REDIS_URL")}
        with (home / "said").open("w") as said:
            self.process = subprocess.Popen(
                programs.ssmd("up", *ports, *words),
                env={**clean, "SSMD_HOME": str(home)},
                cwd=home,
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return (self.home / "said").read_text()

    def wait_until_up(self) -> None:
        until(lambda: "ssmd is up" in self.said() or self.process.poll() is not None, READY_SECONDS)
        assert "ssmd is up" in self.said(), self.said()

    def programs(self) -> list[int]:
        """The process numbers of supervisord and of everything below it."""
        supervisord = int((self.home / "run" / "supervisord.pid").read_text())
        children = Path(f"/proc/{supervisord}/task/{supervisord}/children").read_text().split()
        return [supervisord, *map(int, children)]


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Starts `ssmd up` in one folder, again and again if asked; nothing of it is left after the test."""
    home = tmp_path / "a b"
    home.mkdir()
    runs: list[Up] = []

    def _start(*words: str) -> Up:
        runs.append(Up(home, *words))
        return runs[-1]

    yield _start
    for run in runs:
        run.process.kill()
        run.process.wait()


@pytest.mark.slow
def test_everything_runs_stops_in_order_and_goes_on(start: Callable[..., Up]) -> None:
    up = start()
    up.wait_until_up()
    running = up.programs()
    assert len(running) == 11
    with urllib.request.urlopen(f"http://127.0.0.1:{up.web}/v1/health", timeout=10) as answer:
        assert answer.status == 200

    up.process.send_signal(signal.SIGTERM)

    assert up.process.wait(timeout=60) == 0
    stopped = re.findall(r"stopped ([\w, ]+)", up.said())
    assert stopped == [
        "exchange", "connector", "archiver, follower", "shipper", "web, beat, worker", "valkey", "nats",
    ]  # fmt: skip
    assert all(is_gone(pid) for pid in running)
    ports = (up.home / "run" / "ports.json").read_text()

    again = start()
    again.wait_until_up()
    assert (up.home / "run" / "ports.json").read_text() == ports
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(timeout=60) == 0


@pytest.mark.slow
def test_sigkill_leaves_no_process_and_the_folder_usable(start: Callable[..., Up]) -> None:
    up = start()
    up.wait_until_up()
    running = up.programs()

    up.process.kill()

    until(lambda: all(is_gone(pid) for pid in running), 5)
    assert [pid for pid in running if not is_gone(pid)] == []
    again = start()
    again.wait_until_up()
    again.process.send_signal(signal.SIGHUP)
    assert again.process.wait(timeout=60) == 0


@pytest.mark.slow
def test_a_program_that_is_killed_is_started_again_and_said(start: Callable[..., Up]) -> None:
    up = start()
    up.wait_until_up()
    [shipper] = [
        pid for pid in up.programs() if b"\0shipper\0start\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]

    os.kill(shipper, signal.SIGKILL)

    until(lambda: "shipper ended" in up.said(), 20)
    assert "shipper ended" in up.said()
    up.process.send_signal(signal.SIGTERM)
    assert up.process.wait(timeout=60) == 0
    assert "Traceback" not in up.said()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--env", "demp"], 3, "Did you mean 'demo'?"),
        (["--replay", "/nothing/here"], 3, "does not exist"),
        (["--once"], 3, "--replay"),
        (["--web-port", "0"], 2, "not a port"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    start: Callable[..., Up], words: list[str], code: int, said: str
) -> None:
    up = start(*words)
    assert up.process.wait(timeout=60) == code
    assert said in up.said()
    assert "Traceback" not in up.said()
    assert "starting" not in up.said()

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ssmd.runtime import launcher

LAUNCHER = [sys.executable, "-I", "-S", launcher.__file__]
# Starts a long sleeper through the launcher, says its number and waits.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(sys.argv[1:], env={**os.environ, "SSMD_PARENT_PID": str(os.getpid())})
print(child.pid, flush=True)
time.sleep(60)
"""


def is_alive(pid: int) -> bool:
    """A process that runs (one that only waits for its parent to look is not alive)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_alive(pid)


def test_a_program_dies_with_its_killed_parent() -> None:
    command = [sys.executable, "-c", PARENT, *LAUNCHER, "KILL", "sleep", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert is_alive(child)

        parent.kill()

        assert ends_within(child, 5)


def test_a_program_whose_parent_died_in_between_does_not_start() -> None:
    environment = {**os.environ, launcher.PARENT: "1"}
    ended = subprocess.run(
        [*LAUNCHER, "KILL", "echo", "started"], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (1, "")


def test_arguments_arrive_as_they_were_given() -> None:
    words = ["a b", "", "%s", "'\"", "#;"]
    ended = subprocess.run([*LAUNCHER, "TERM", "printf", "[%s]", *words], capture_output=True, text=True)
    assert ended.stdout == "".join(f"[{word}]" for word in words)


def test_the_program_replaces_the_launcher() -> None:
    with subprocess.Popen(
        [*LAUNCHER, "KILL", "sh", "-c", "echo $$"], stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout
        assert int(started.stdout.readline()) == started.pid
        started.send_signal(signal.SIGKILL)

"""`ssmd up` as a user meets it: data flow, a crash is owned up to, the documents' commands work, it goes on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.end_to_end.system import System, notices, trades
from tests.oracle import judge_archive
from tests.oracle_of_bus import judge_trades
from tests.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280), pytest.mark.xdist_group("up")]

ROOT = Path(__file__).resolve().parents[2]
WINDOW = "gold15m/events/KXGOLD15M-26AUG101900-00"
_BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path / "a home")
    system.home.mkdir()
    yield system
    system.stop_gently("up")
    system.stop_all()


def rows(one: System, *words: str) -> list[dict[str, object]]:
    """A list command's data."""
    done = one.ssmd(*words, "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["data"])


def prove(one: System) -> None:
    """Stop it, and judge all that was ever sent; the bus is started once more to be read."""
    assert one.stop("up", seconds=60) == 0, one.log("up")
    one.start_nats()
    events, archive = one.published(), one.archive()
    one.stop("nats")
    verdict = judge_archive(one.sent(), archive)
    assert verdict.faults == []
    assert verdict.archived + verdict.disclosed == verdict.sent > 0
    assert judge_trades(archive, trades(events), notices(events)) == []


def pid_of_connector(one: System) -> int:
    """The connector that runs on this system's data."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = f"SSMD_HOME={one.home}".encode() in variables
        if ours and b"connector" in words and b"start" in words:
            return int(folder.name)
    raise AssertionError("no connector runs")


def test_a_crash_under_load_becomes_a_gap_row_and_costs_nothing_unsaid(one: System, recordings: Path) -> None:
    one.start_up("--replay", str(recordings / WINDOW), "--speed", "60")
    until(lambda: len(one.sent()) > 2000, seconds=60, what="2,000 frames are sent")

    os.kill(pid_of_connector(one), signal.SIGKILL)

    def crash_is_closed() -> bool:
        found = [row for row in rows(one, "data", "gaps") if row["gap_type"] == "process_crash"]
        return len(found) == 1 and found[0]["gap_end"] is not None

    until(crash_is_closed, seconds=60, what="the crash is a gap row with an end")
    days = rows(one, "data", "inventory", "--feed", "kalshi-sim")
    [day] = [row for row in days if row["data_type"] == "raw"]
    assert int(str(day["record_count"])) > 0
    prove(one)


def test_it_goes_on_where_it_stopped(one: System) -> None:
    one.start_up("--seed", "1")
    first = one.stop("up", seconds=60)
    one.start_up("--seed", "1")
    assert first == 0

    def the_stop_is_over() -> bool:
        found = rows(one, "data", "gaps")
        assert [row["gap_type"] for row in found] in ([], ["planned_teardown"])
        return bool(found) and found[0]["gap_end"] is not None

    until(the_stop_is_over, seconds=60, what="the planned stop is a gap row with an end")
    prove(one)


def documented_commands() -> list[str]:
    """Every command that README shows for use beside a running `make up`."""
    blocks = _BLOCK.findall((ROOT / "README.md").read_text())
    lines = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if not line.startswith("make ") and "-m websockets" not in line]


def test_the_commands_of_the_readme_work_and_the_stream_sends_trades(one: System) -> None:
    web = one.start_up()
    commands = documented_commands()
    assert len(commands) > 5
    until(lambda: bool(rows(one, "data", "inventory")), seconds=60, what="the first part is in the inventory")
    for command in commands:
        words = [
            word.replace("127.0.0.1:8000", f"127.0.0.1:{web}") for word in shlex.split(command, comments=True)
        ]
        words[0] = words[0].replace(".venv/bin", str(Path(sys.executable).parent))
        done = subprocess.run(
            words, env=one.environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        expected = 7 if "ssmd why" in command else 0  # today is never complete
        assert done.returncode == expected, f"{command}: {done.stdout}{done.stderr}"
        assert done.stdout.strip(), command
    with connect(f"ws://127.0.0.1:{web}/v1/stream?symbols=*") as stream:
        kinds = {json.loads(stream.recv(timeout=20))["type"] for _ in range(20)}
    assert "trade" in kinds

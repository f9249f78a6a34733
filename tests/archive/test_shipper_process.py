import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archive.store import DirectoryStore
from streaming import marks
from streaming.capture_log import Cursor
from streaming.dead_session import PUBLISHED
from streaming.records import Kind, Record
from tests.archive.conftest import (
    SessionMaker,
    add_trades,
    archived,
    read_all,
    trade,
)

CHILD = """
import sys
from pathlib import Path
from archive.shipper import ShipperConfig, run
from archive.store import DirectoryStore
from registry.refusal import Refused

try:
    run(ShipperConfig(environment="demo", feed="kalshi-sim", capture=Path(sys.argv[1]), version="0.1.0",
                      store=DirectoryStore(Path(sys.argv[2])), part_seconds=0.02, part_bytes=4000))
except Refused as refused:
    print(refused, file=sys.stderr)
    sys.exit(refused.exit_code)
"""


def start_process(capture: Path, store: DirectoryStore) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(capture), str(store.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_log(child: "subprocess.Popen[str]", msg: str, *, times: int = 1) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        times -= json.loads(line)["msg"] == msg
        if times == 0:
            return
    raise AssertionError(f"{msg!r} was not logged")


def test_sigterm_commits_everything_readable_and_exits_0(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 300)
    child = start_process(capture, store)
    wait_for_log(child, "part committed")
    add_trades(log, 300)

    child.send_signal(signal.SIGTERM)

    child.communicate(timeout=20)
    assert child.returncode == 0
    assert archived(store) == read_all(log)


def test_two_shipper_processes_one_is_refused_with_exit_code_5(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    add_trades(session(), 5)
    first = start_process(capture, store)
    wait_for_log(first, "part committed")

    second = start_process(capture, store)
    _, complaint = second.communicate(timeout=20)

    assert second.returncode == 5
    assert "already running" in complaint
    first.terminate()
    first.communicate(timeout=20)


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_and_doubles_nothing(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    import random
    import time

    chance = random.Random(7)
    log = session(segment_bytes=20_000)
    kept: list[Record] = []
    for _ in range(8):
        child = start_process(capture, store)
        until = time.monotonic() + chance.uniform(0.4, 1.0)
        while time.monotonic() < until:
            add_trades(log, 40)
            Cursor(log.folder / PUBLISHED).store(log.last_n)
            time.sleep(0.005)
        child.kill()
        child.communicate()
    kept = list(range(1, log.last_n + 1))  # type: ignore[arg-type]
    log.mark(marks.SessionEnd(reason="stopped"))

    child = start_process(capture, store)
    wait_for_log(child, "session taken up")
    child.terminate()
    child.communicate(timeout=30)

    found = archived(store)
    assert [record.n for record in found] == [*kept, log.last_n]
    assert all(record.payload == trade((record.n - 2) % 40) for record in found if record.kind == Kind.TEXT)

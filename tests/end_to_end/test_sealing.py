"""`ssmd data seal` as an operator runs it: on this machine's cores, and by Celery workers where a broker runs."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from archive.store import DirectoryStore
from ssmd.runtime.embedded import find_valkey
from streaming import marks
from tests.archive.days import NOON, START, add_session, records
from tests.conftest import absent
from tests.end_to_end.system import System, _listens
from tests.running import free_port, until
from tests.streaming.kalshi.frames import delta, snapshot, trade

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
DAY, ROOT = "2025-12-14", Path(__file__).resolve().parents[2]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    """A registry, and a day of two markets in the raw archive."""
    system = System(tmp_path / "a home")
    system.bootstrap()
    frames = [snapshot("M1", 1), snapshot("M2", 2)]
    frames += [
        one for n in range(3, 90) for one in (delta(f"M{n % 2 + 1}", n), trade("M1", n, trade_id=str(n)))
    ]
    found = records([START, *frames, marks.SessionEnd("stopped")], at_ns=NOON, step_ns=60 * 10**9)
    store = DirectoryStore(system.home / "archive" / "raw")
    add_session(store, "kalshi-sim-20251214T120000Z-000001", found, part_bytes=3_000)
    yield system
    system.stop_all()


def seal(one: System, *words: str) -> dict[str, object]:
    done = one.ssmd("data", "seal", "--date", DAY, "--json", *words)
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["data"]
    return dict(row)


def test_a_sealed_day_shows_in_the_inventory_is_sound_and_stays_as_it_is(one: System) -> None:
    row = seal(one)
    shown = one.ssmd("data", "inventory", "--json")
    verified = one.ssmd("data", "verify", "--deep")
    again = one.ssmd("data", "seal", "--date", DAY)
    why = one.ssmd("why", "kalshi-sim", DAY)

    assert (row["Version"], row["Records"], row["State"]) == (1, 178, "final")
    kinds = {day["data_type"]: day for day in json.loads(shown.stdout)["data"]}
    assert kinds["raw"]["record_count"] == 178
    assert kinds["normalized"]["schema_version"] == "v2"
    assert (verified.returncode, "all sound" in verified.stdout) == (0, True)
    assert (again.returncode, "version 1 holds everything" in again.stderr) == (0, True)
    assert "M1" not in why.stderr and why.returncode in (0, 7)


def test_workers_that_take_the_queue_of_seals_do_its_steps(one: System) -> None:
    binary = find_valkey()
    if not isinstance(binary, Path):
        absent("valkey-server")
    port = free_port()
    one.start("valkey", str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "")
    until(lambda: _listens(port), what="valkey listens")
    one.environment["REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
    celery = (
        sys.executable,
        "-m",
        "celery",
        "-A",
        "ssmd.celery",
        "--workdir",
        str(ROOT),
        "worker",
        "-Q",
        "seal",
    )
    one.start("worker", *celery, "--pool", "threads", "--concurrency", "2", "--loglevel", "INFO")
    until(lambda: " ready." in one.log("worker"), seconds=60, what="the worker is ready")

    row = seal(one)

    assert (row["Version"], row["Records"], row["State"]) == (1, 178, "final")
    assert one.log("worker").count("ssmd.tasks.seal_step") >= 4
    assert one.ssmd("data", "verify", "--deep").returncode == 0

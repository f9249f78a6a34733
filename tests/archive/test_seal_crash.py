"""A seal that is killed at any step goes on where it stopped, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from archive.rows import lines
from archive.seal import Archive, seal_day
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, latest
from streaming import marks
from streaming.failpoints import POINTS
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, snapshot

OVER = NOON + 86_400 * 10**9
SEAL_POINTS = [point for point in POINTS if point.startswith("seal.")]
_SEAL = """
import sys
from pathlib import Path
from contextlib import suppress
from archive.plan import NothingNew
from archive.seal import seal_day
from tests.archive.days import DAY, archive_in
with suppress(NothingNew):  # the others were done before this one began
    seal_day(archive_in(Path(sys.argv[1])), DAY, now_ns=int(sys.argv[2]))
"""


def recorded_day(folder: Path) -> Archive:
    """Two hours of two markets."""
    archive = archive_in(folder)
    frames = [snapshot("M1", 1), snapshot("M2", 2), *(delta(f"M{n % 2 + 1}", n) for n in range(3, 60))]
    found = records([START, *frames, marks.SessionEnd("stopped")], step_ns=90 * 10**9)
    add_session(archive.raw, "kalshi-sim-20251214T120000Z-000001", found, part_bytes=2_000)
    return archive


def seal_in_a_process(folder: Path, failpoints: str = "") -> int:
    environment = {**os.environ, "SSMD_TESTING": "1", "SSMD_FAILPOINTS": failpoints}
    command = [sys.executable, "-c", _SEAL, str(folder), str(OVER)]
    return subprocess.run(command, env=environment, check=False, capture_output=True).returncode


def content(archive: Archive) -> dict[str, str]:
    """Every file of the committed version, by what it holds."""
    manifest = latest(archive.raw, FEED, DAY)
    assert isinstance(manifest, DayManifest)
    events = [file for shard in manifest.shards for file in read_index(archive.normalized, shard.index)]
    assert sum(1 for file in manifest.raw for _ in lines(archive.raw, file)) == manifest.raw_rows
    return {file.key: file.sha256_rows for file in [*manifest.raw, *events]}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    archive = recorded_day(tmp_path_factory.mktemp("undisturbed"))
    seal_day(archive, DAY, now_ns=OVER)
    return content(archive)


@pytest.mark.parametrize("point", SEAL_POINTS)
def test_a_killed_seal_is_resumed(tmp_path: Path, undisturbed: dict[str, str], point: str) -> None:
    archive = recorded_day(tmp_path)

    died = seal_in_a_process(tmp_path, f"{point}=kill@1")
    seal_in_a_process(tmp_path)

    assert died == -signal.SIGKILL
    assert content(archive) == undisturbed


@pytest.mark.slow
def test_a_seal_that_is_killed_at_one_step_after_the_other_is_resumed(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    archive = recorded_day(tmp_path)

    for point in SEAL_POINTS:
        seal_in_a_process(tmp_path, f"{point}=kill@1")
    seal_in_a_process(tmp_path)

    assert content(archive) == undisturbed


@pytest.mark.slow
def test_several_that_seal_the_same_day_at_once_make_one_version(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    archive = recorded_day(tmp_path)

    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: seal_in_a_process(tmp_path), range(4)))

    assert codes == [0] * 4
    assert content(archive) == undisturbed
    assert (found := latest(archive.raw, FEED, DAY)) is not None
    assert found.version == 1

"""A day without losses: what came over the bus is what raw makes of it, and raw makes the same of it each time."""

from pathlib import Path

import pytest

from archive.seal import seal_day
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, latest
from tests.crash.conftest import Template
from tests.crash.scene import DAY_NS, Scene, beginning_of, copy_of, record, windows
from tests.crash.verdict import judge
from tests.end_to_end.system import FEED

FRAMES = 5_000


def contents(one: Scene, manifest: DayManifest) -> dict[tuple[str, str | None], str]:
    """What every normalized file of a version holds."""
    store = one.archives().normalized
    files = [file for shard in manifest.shards for file in read_index(store, shard.index)]
    return {(file.kind, file.ticker): file.sha256_rows for file in files}


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_provisional_parts_equal_sealed_files_and_normalizing_again_changes_nothing(
    tmp_path: Path, template: Template, recordings: Path
) -> None:
    one = copy_of(template.home, tmp_path / "home", template.exchange_port)
    try:
        record(one, beginning_of(windows(recordings)[0], tmp_path / "recording", FRAMES), speed="0")
        verdict = judge(one)
    finally:
        one.stop_all()
    assert not verdict.faults, "\n".join(verdict.faults[:6])
    assert (verdict.nats_lost, verdict.events > FRAMES // 2) == (0, True)

    for on in one.days():
        first = latest(one.archives().raw, FEED, on)
        assert first is not None
        made = [first]
        for _ in range(2):
            made.append(seal_day(one.archives(), on, now_ns=first.sealed_ns + DAY_NS, again=True))
        assert [manifest.version for manifest in made] == [1, 2, 3]
        assert contents(one, made[0]) == contents(one, made[1]) == contents(one, made[2])
        assert {(file.kind, file.hour): file.sha256 for file in made[0].raw} == {
            (file.kind, file.hour): file.sha256 for file in made[2].raw
        }
        assert made[2].diff.changed == made[2].diff.added == made[2].diff.removed == 0

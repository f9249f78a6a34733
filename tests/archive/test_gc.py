"""Parts go when a sealed day holds them, and never before."""

from pathlib import Path

import pytest

from archive import layout
from archive.day_lines import day_lines
from archive.files import Damaged
from archive.gc import KEEP_NS, NotYet, remove, superfluous
from archive.seal import Archive, seal_day
from streaming import marks
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, snapshot

OVER = NOON + 86_400 * 10**9
LATER = OVER + KEEP_NS
ONE, TWO = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T130000Z-000002"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = archive_in(tmp_path)
    add(archive, ONE)
    return archive


def add(archive: Archive, session: str, at_ns: int = NOON) -> None:
    frames: list[bytes | marks.Mark] = [START, snapshot("M1", 1), *(delta("M1", n) for n in range(2, 60))]
    add_session(archive.raw, session, records(frames, at_ns=at_ns), part_bytes=2_000)


def parts(archive: Archive) -> list[str]:
    return list(archive.raw.list(layout.parts_prefix(FEED, DAY)))


def test_a_day_is_the_same_without_its_parts(archive: Archive) -> None:
    before = [line.line for line in day_lines(archive.raw, FEED, DAY)]
    seal_day(archive, DAY, now_ns=OVER)

    remove(archive, superfluous(archive, DAY, now_ns=LATER))

    assert parts(archive) == []
    assert [line.line for line in day_lines(archive.raw, FEED, DAY)] == before


@pytest.mark.parametrize("now_ns", [OVER, LATER - 1])
def test_parts_stay_for_seven_days_after_the_seal(archive: Archive, now_ns: int) -> None:
    seal_day(archive, DAY, now_ns=OVER)

    with pytest.raises(NotYet, match="less than seven days"):
        superfluous(archive, DAY, now_ns=now_ns)


def test_parts_of_a_day_that_is_not_sealed_or_sealed_in_part_stay(archive: Archive) -> None:
    with pytest.raises(NotYet, match="not sealed"):
        superfluous(archive, DAY, now_ns=LATER)
    seal_day(archive, DAY, now_ns=NOON)
    with pytest.raises(NotYet, match="only in part"):
        superfluous(archive, DAY, now_ns=LATER)


def test_late_parts_stay(archive: Archive) -> None:
    seal_day(archive, DAY, now_ns=OVER)
    late = set(parts(archive))
    add(archive, TWO, at_ns=NOON + 3_600 * 10**9)
    late = set(parts(archive)) - late

    remove(archive, superfluous(archive, DAY, now_ns=LATER))

    assert set(parts(archive)) == late


def test_parts_stay_while_a_sealed_file_is_damaged(archive: Archive) -> None:
    manifest = seal_day(archive, DAY, now_ns=OVER)
    archive.raw.delete(manifest.raw[1].key)

    with pytest.raises(Damaged, match="the parts of 2025-12-14 are kept"):
        superfluous(archive, DAY, now_ns=LATER)


def test_what_a_crash_left_of_it_goes_the_next_time(archive: Archive) -> None:
    seal_day(archive, DAY, now_ns=OVER)
    for key in superfluous(archive, DAY, now_ns=LATER).raw[:5]:
        archive.raw.delete(key)

    remove(archive, superfluous(archive, DAY, now_ns=LATER))

    assert parts(archive) == []
    assert superfluous(archive, DAY, now_ns=LATER) == ([], [])

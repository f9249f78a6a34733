"""A day whose end, beginning or middle is gone is not called whole: the numbers on both sides of it tell."""

from pathlib import Path

import pytest

from archive import layout
from archive.continuity import Continuity, Following, Hole
from archive.files import Damaged
from archive.layout import PartKey
from archive.raw import part_keys
from archive.seal import Archive, seal_day
from archive.store import DirectoryStore
from archive.verify import verify_day
from streaming import marks
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import trade

OVER = NOON + 86_400 * 10**9
MIDNIGHT = NOON + 12 * 3_600 * 10**9
ONE = "kalshi-sim-20251214T235920Z-000001"
NEXT_DAY = layout.day_of(OVER)
TRADES = [trade("M1", n, trade_id=f"t{n}") for n in range(1, 80)]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A session that goes on over midnight: 40 records of it lie on the first day."""
    archive = archive_in(tmp_path)
    found = records([START, *TRADES, marks.SessionEnd("stopped")], at_ns=MIDNIGHT - 40 * 10**9, step_ns=10**9)
    add_session(archive.raw, ONE, found, part_bytes=2_000)
    return archive


def remove(archive: Archive, key: PartKey) -> None:
    archive.raw.delete(key.manifest)
    archive.raw.delete(key.data)


def test_an_end_that_is_gone_is_told_by_where_the_next_day_begins(archive: Archive) -> None:
    *_, last = part_keys(archive.raw, FEED, DAY)
    remove(archive, last)

    gone = f"records {last.first_n} to 40 of {ONE} are gone: {DAY} ends at {last.first_n - 1}, {NEXT_DAY} begins at 41"
    with pytest.raises(Damaged, match=gone):
        seal_day(archive, DAY, now_ns=OVER)


def test_a_session_that_goes_on_at_the_next_record_leaves_nothing_unfinished(archive: Archive) -> None:
    assert seal_day(archive, DAY, now_ns=OVER).unfinished == []


def test_an_end_that_is_gone_is_told_by_the_registry(archive: Archive) -> None:
    told = part_keys(archive.raw, FEED, NEXT_DAY)
    remove(archive, told[-1])

    with pytest.raises(Damaged, match="are gone: the registry knows that they were archived"):
        seal_day(archive, NEXT_DAY, now_ns=OVER + 86_400 * 10**9, told=told)


def test_a_day_of_which_all_is_gone_is_damaged_and_not_empty(archive: Archive) -> None:
    told = part_keys(archive.raw, FEED, DAY)
    for key in told:
        remove(archive, key)

    with pytest.raises(Damaged, match=f"records 1 to {told[0].last_n} of {ONE} are gone"):
        seal_day(archive, DAY, now_ns=OVER, told=told)


def test_each_record_that_is_gone_is_told_once(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    told = [PartKey(FEED, DAY, ONE, n, n + 9) for n in range(1, 101, 10)]
    left = [told[0], told[3], told[7]]
    after = Following(NEXT_DAY, {ONE: 121})

    found = list(Continuity(store, FEED, DAY, left, known={}, after=after, told=told).holes())

    assert [(hole.first_n, hole.last_n) for hole in found] == [(11, 30), (41, 70), (81, 120)]
    assert sum(hole.rows for hole in found) == 90
    assert str(found[0]) == f"records 11 to 30 of {ONE} are gone"
    assert isinstance(found[0], Hole)


def test_what_a_sealed_version_holds_needs_no_parts(archive: Archive) -> None:
    told = part_keys(archive.raw, FEED, DAY)
    manifest = seal_day(archive, DAY, now_ns=OVER, told=told)
    for key in told:
        remove(archive, key)

    assert seal_day(archive, DAY, now_ns=OVER, told=told, again=True).raw_rows == manifest.raw_rows


def test_verification_names_every_record_for_which_a_seal_would_refuse_the_day(archive: Archive) -> None:
    first, second, *_, last = told = part_keys(archive.raw, FEED, DAY)
    archive.raw.delete(second.manifest)
    remove(archive, last)

    found = [one for one in verify_day(archive, DAY, told=told) if one.rows]

    assert [one.rows for one in found] == [second.last_n - first.last_n, last.last_n - last.first_n + 1]
    assert found[0].problem == f"records {second.first_n} to {second.last_n} of {ONE} are gone"


def test_verification_of_a_whole_day_that_is_not_sealed_finds_nothing(archive: Archive) -> None:
    for on in (DAY, NEXT_DAY):
        assert list(verify_day(archive, on, told=part_keys(archive.raw, FEED, on))) == []

"""What of a sealed day is gone or damaged is made again by the next version, where that is possible."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archive import layout
from archive.damage import Finding
from archive.files import Damaged
from archive.plan import NothingNew
from archive.raw import part_keys
from archive.seal import Archive, seal_day
from archive.seal_manifest import DayManifest, replaced_by
from archive.store import Store
from archive.verify import verify_day
from streaming import marks
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, snapshot, trade

OVER = NOON + 86_400 * 10**9
ONE, TWO = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T130000Z-000002"
TRADES = layout.events_file(FEED, "v2", "trade", DAY, "M1")
Spoil = Callable[[Store, str], None]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A sealed day of one market."""
    archive = archive_in(tmp_path)
    record(archive, ONE)
    seal_day(archive, DAY, now_ns=OVER)
    return archive


def record(archive: Archive, session: str, *, at_ns: int = NOON) -> None:
    frames = [snapshot("M1", 1)]
    frames += [
        one for n in range(2, 40) for one in (delta("M1", n), trade("M1", n, trade_id=f"{session}{n}"))
    ]
    found = records([START, *frames, marks.SessionEnd("stopped")], at_ns=at_ns)
    add_session(archive.raw, session, found, part_bytes=2_000)


def remove(store: Store, key: str) -> None:
    store.delete(key)


def flip(store: Store, key: str) -> None:
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 4
    store.delete(key)
    store.put_if_absent(key, bytes(data))


def findings(archive: Archive) -> list[Finding]:
    return list(verify_day(archive, DAY, deep=True))


def normalize(archive: Archive) -> DayManifest:
    return seal_day(archive, DAY, now_ns=OVER, again=True)


@pytest.mark.parametrize("spoil", [remove, flip])
def test_a_normalized_file_that_is_gone_or_damaged_is_made_again_under_the_new_version(
    archive: Archive, spoil: Spoil
) -> None:
    spoil(archive.normalized, TRADES)

    manifest = normalize(archive)

    assert replaced_by(manifest) == [TRADES]
    assert archive.normalized.head(layout.events_file(FEED, "v2", "trade", DAY, "M1", version=2))
    assert (manifest.diff.same, manifest.diff.changed) == (2, 0)
    assert findings(archive) == []


@pytest.mark.parametrize("spoil", [remove, flip])
def test_an_index_that_is_gone_or_damaged_is_made_again_with_all_its_files(
    archive: Archive, spoil: Spoil
) -> None:
    index = layout.index_file(FEED, "v2", DAY, version=1, shard=0)
    spoil(archive.normalized, index)

    manifest = normalize(archive)

    assert replaced_by(manifest) == [index]
    assert manifest.diff.added == 2
    assert findings(archive) == []


def test_a_sound_file_is_named_again_and_not_copied(archive: Archive) -> None:
    manifest = normalize(archive)

    assert replaced_by(manifest) == []
    assert archive.normalized.head(layout.events_file(FEED, "v2", "trade", DAY, "M1", version=2)) is None


RAW = layout.raw_file(FEED, DAY, "trade", hour=12)


def rebuild(archive: Archive) -> DayManifest:
    return seal_day(archive, DAY, now_ns=OVER, rebuild=True)


@pytest.mark.parametrize("spoil", [remove, flip])
def test_a_sealed_raw_file_that_is_gone_or_damaged_is_made_from_its_parts_again(
    archive: Archive, spoil: Spoil
) -> None:
    before = archive.raw.get(RAW)
    spoil(archive.raw, RAW)

    manifest = rebuild(archive)

    assert (manifest.version, replaced_by(manifest)) == (2, [RAW])
    assert archive.raw.get(layout.raw_file(FEED, DAY, "trade", hour=12, version=2)) == before
    assert findings(archive) == []


def test_late_records_of_a_damaged_day_are_sealed_with_what_is_made_again(archive: Archive) -> None:
    flip(archive.raw, RAW)
    record(archive, TWO, at_ns=NOON + 60 * 10**9)
    with pytest.raises(Damaged):  # its plan is to read what cannot be read
        seal_day(archive, DAY, now_ns=OVER)

    manifest = rebuild(archive)

    assert (manifest.version, manifest.base, len(manifest.spans)) == (3, 1, 2)
    assert findings(archive) == []
    with pytest.raises(NothingNew):
        seal_day(archive, DAY, now_ns=OVER)


def test_what_no_part_holds_any_more_is_named_and_nothing_is_planned(archive: Archive) -> None:
    flip(archive.raw, RAW)
    [first, *_] = part_keys(archive.raw, FEED, DAY)
    flip(archive.raw, first.data)

    with pytest.raises(
        Damaged, match=f"{RAW} cannot be made again: records .* of {ONE} are in no sound part"
    ):
        rebuild(archive)
    assert archive.raw.head(layout.plan_key(FEED, DAY, 2)) is None


def test_a_sound_day_is_not_made_again(archive: Archive) -> None:
    with pytest.raises(NothingNew):
        rebuild(archive)

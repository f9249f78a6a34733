"""A sealed day: everything once, the same whoever makes it, and later versions beside it."""

import hashlib
from pathlib import Path

import pytest
import zstandard

from archive import layout, seal_manifest
from archive.day_lines import day_lines
from archive.files import Damaged
from archive.layout import parse_manifest_key
from archive.normalized_read import split
from archive.plan import NothingNew, NothingRecorded
from archive.rows import lines
from archive.seal import Archive, seal_day
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest
from streaming import marks, wire
from streaming.events import BookSnapshot, Trade
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, snapshot, trade

OVER = NOON + 86_400 * 10**9
ONE, TWO = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T130000Z-000002"
HOUR = 3_600 * 10**9
END = marks.SessionEnd("stopped")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archive_in(tmp_path)


def frames(ticker: str = "M1", count: int = 40) -> list[bytes]:
    """A book, its changes and trades of one market."""
    body = [
        one for n in range(2, count) for one in (delta(ticker, n), trade(ticker, n, trade_id=f"{ticker}-{n}"))
    ]
    return [snapshot(ticker, 1), *body]


def record_session(archive: Archive, session: str = ONE, **options: int) -> None:
    add_session(archive.raw, session, records([START, *frames(), END], **options), part_bytes=2_000)


def sealed_lines(archive: Archive, manifest: DayManifest) -> list[bytes]:
    return [line for file in manifest.raw for line in lines(archive.raw, file)]


def digests(archive: Archive, manifest: DayManifest) -> dict[str, str]:
    """What every file of a version holds."""
    events = [file for shard in manifest.shards for file in read_index(archive.normalized, shard.index)]
    return {file.key: file.sha256_rows for file in [*manifest.raw, *events]}


def test_a_sealed_day_holds_every_line_of_its_parts_once_and_in_order(archive: Archive) -> None:
    record_session(archive, step_ns=HOUR // 30)
    before = [line.line for line in day_lines(archive.raw, FEED, DAY)]

    manifest = seal_day(archive, DAY, now_ns=OVER)

    assert sorted(sealed_lines(archive, manifest)) == sorted(before)
    assert [line.line for line in day_lines(archive.raw, FEED, DAY)] == before
    assert {file.hour for file in manifest.raw} == {12, 13, 14}
    assert manifest.raw[1].key == "kalshi-sim/2025/12/14/orderbook-12.jsonl.zst"


def test_normalized_files_lie_by_ticker_and_hold_the_events_of_the_lines(archive: Archive) -> None:
    record_session(archive)

    manifest = seal_day(archive, DAY, now_ns=OVER)

    [book, trades] = read_index(archive.normalized, manifest.shards[0].index)
    assert book.key == "kalshi-sim/v2/orderbook/2025/12/14/M1/data.capnp.zst"
    assert (trades.rows, manifest.events["trade"], manifest.markets) == (38, 38, 1)
    assert manifest.events["orderbook"] == 1 + 1 + 38  # the snapshot, its checkpoint, the deltas


def test_what_is_sealed_does_not_depend_on_how_the_parts_were_cut(tmp_path: Path) -> None:
    one, other = archive_in(tmp_path / "one"), archive_in(tmp_path / "other")
    for archive, part_bytes in ((one, 700), (other, 1 << 20)):
        add_session(archive.raw, ONE, records([START, *frames(), END]), part_bytes=part_bytes)

    first, second = (seal_day(archive, DAY, now_ns=OVER) for archive in (one, other))

    assert digests(one, first) == digests(other, second)


def test_a_second_seal_of_the_same_day_has_nothing_to_do(archive: Archive) -> None:
    record_session(archive)
    seal_day(archive, DAY, now_ns=OVER)

    with pytest.raises(NothingNew):
        seal_day(archive, DAY, now_ns=OVER)


def test_a_day_without_records_is_not_sealed(archive: Archive) -> None:
    with pytest.raises(NothingRecorded):
        seal_day(archive, DAY, now_ns=OVER)


def test_late_records_make_a_version_beside_the_first_and_change_only_their_hours(archive: Archive) -> None:
    record_session(archive)
    first = seal_day(archive, DAY, now_ns=OVER)
    record_session(archive, TWO, at_ns=NOON + 3 * HOUR)

    second = seal_day(archive, DAY, now_ns=OVER)

    assert (second.version, second.base, second.raw_rows) == (2, 1, 2 * first.raw_rows)
    assert [file for file in second.raw if file.hour == 12] == first.raw
    assert {file.key.rpartition("/")[2] for file in second.raw if file.hour == 15} == {
        "control-15.v2.jsonl.zst",
        "orderbook-15.v2.jsonl.zst",
        "trades-15.v2.jsonl.zst",
    }
    assert sorted(sealed_lines(archive, first)) == sorted(
        line for line in sealed_lines(archive, second) if ONE.encode() in line
    )


def test_late_records_are_found_when_the_parts_of_the_first_version_are_gone(archive: Archive) -> None:
    record_session(archive)
    first = seal_day(archive, DAY, now_ns=OVER)
    for name in list(archive.raw.list(layout.parts_prefix(FEED, DAY))):
        archive.raw.delete(name)
    record_session(archive, TWO, at_ns=NOON + 60 * 10**9)

    second = seal_day(archive, DAY, now_ns=OVER)

    assert second.raw_rows == 2 * first.raw_rows
    assert len(set(sealed_lines(archive, second))) == second.raw_rows


def test_a_day_that_is_not_over_is_sealed_as_partial_and_again_when_it_is(archive: Archive) -> None:
    record_session(archive)

    partial = seal_day(archive, DAY, now_ns=NOON + HOUR)
    whole = seal_day(archive, DAY, now_ns=OVER)

    assert (partial.is_partial, whole.is_partial) == (True, False)
    assert digests(archive, partial) == digests(archive, whole)
    with pytest.raises(NothingNew):
        seal_day(archive, DAY, now_ns=OVER)


def test_a_session_without_an_end_leaves_the_day_unfinished(archive: Archive) -> None:
    add_session(archive.raw, ONE, records([START, *frames()]))

    assert seal_day(archive, DAY, now_ns=OVER).unfinished == [ONE]


def test_a_session_over_midnight_keeps_its_books_on_the_second_day(archive: Archive) -> None:
    midnight = NOON + 12 * HOUR
    found = list(records([START, *frames(count=60), END], at_ns=midnight - 50 * 10**9, step_ns=10**9))
    add_session(archive.raw, ONE, iter(found))
    second_day = layout.day_of(midnight)

    manifest = seal_day(archive, second_day, now_ns=OVER + 86_400 * 10**9)

    files = read_index(archive.normalized, manifest.shards[0].index)
    [book] = [file for file in files if file.kind == "orderbook"]
    events = _events(archive, book.key)
    assert isinstance(events[1], BookSnapshot)
    assert events[1].is_checkpoint, "the first book event of a day is followed by the whole book"
    assert all(getattr(event, "size_e2", 0) is not None for event in events)


def _events(archive: Archive, key: str) -> list[object]:
    data = zstandard.ZstdDecompressor().decompressobj().decompress(archive.normalized.get(key))
    return [wire.decode(key.split("/")[2], message) for message in split(data, key)]


def test_a_second_day_is_the_same_from_what_the_first_carried_and_from_the_first_record(
    tmp_path: Path,
) -> None:
    midnight = NOON + 12 * HOUR
    second_day, end_ns = layout.day_of(midnight), OVER + 86_400 * 10**9
    made = {}
    for name, is_first_sealed in (("carried", True), ("read again", False)):
        archive = archive_in(tmp_path / name)
        found = records([START, *frames(count=90), END], at_ns=midnight - 50 * 10**9, step_ns=10**9)
        add_session(archive.raw, ONE, found)
        if is_first_sealed:
            first = seal_day(archive, DAY, now_ns=end_ns)
            assert first.shards[0].carry.rows == 1
            for key in list(archive.raw.list(layout.parts_prefix(FEED, DAY))):
                archive.raw.delete(key)  # what was carried is enough
            for file in first.raw:
                archive.raw.delete(file.key)
        made[name] = digests(archive, seal_day(archive, second_day, now_ns=end_ns))

    assert made["carried"] == made["read again"]


def test_each_sealed_day_names_the_manifest_of_the_one_before(archive: Archive) -> None:
    record_session(archive)
    record_session(archive, TWO, at_ns=NOON + 2 * 86_400 * 10**9)
    later = layout.day_of(NOON + 2 * 86_400 * 10**9)
    seal_day(archive, DAY, now_ns=OVER)

    manifest = seal_day(archive, later, now_ns=OVER + 2 * 86_400 * 10**9)

    first = archive.raw.get(layout.seal_key(FEED, DAY, 1))
    assert manifest.previous == hashlib.sha256(first).hexdigest()
    assert manifest.previous_date == DAY


def test_a_part_that_is_gone_stops_the_seal_and_is_named(archive: Archive) -> None:
    record_session(archive)
    keys = sorted(key for name in archive.raw.list("") if (key := parse_manifest_key(name)))
    archive.raw.delete(keys[1].manifest)

    with pytest.raises(Damaged, match=f"records {keys[1].first_n} to {keys[1].last_n} of {ONE} are gone"):
        seal_day(archive, DAY, now_ns=OVER)


def test_a_first_part_that_is_gone_stops_the_seal_as_well(archive: Archive) -> None:
    record_session(archive)
    keys = sorted(key for name in archive.raw.list("") if (key := parse_manifest_key(name)))
    archive.raw.delete(keys[0].manifest)

    with pytest.raises(Damaged, match=f"records 1 to {keys[0].last_n} of {ONE} are gone"):
        seal_day(archive, DAY, now_ns=OVER)


def test_parts_that_overlap_are_merged_record_by_record(archive: Archive) -> None:
    for part_bytes in (700, 1_100, 2_000):
        add_session(archive.raw, ONE, records([START, *frames(), END]), part_bytes=part_bytes)

    manifest = seal_day(archive, DAY, now_ns=OVER)

    assert manifest.raw_rows == len(frames()) + 2
    assert len(set(sealed_lines(archive, manifest))) == manifest.raw_rows


def test_a_part_that_holds_sealed_records_and_later_ones_adds_the_later_ones(archive: Archive) -> None:
    found = list(records([START, *frames(), END]))
    add_session(archive.raw, ONE, iter(found[:40]))
    seal_day(archive, DAY, now_ns=OVER)
    for name in list(archive.raw.list(layout.parts_prefix(FEED, DAY))):
        archive.raw.delete(name)
    add_session(archive.raw, ONE, iter(found[30:]))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    assert (manifest.version, manifest.raw_rows) == (2, len(found))
    assert len(set(sealed_lines(archive, manifest))) == len(found)


def test_a_part_that_was_altered_stops_the_seal_and_nothing_is_committed(archive: Archive) -> None:
    record_session(archive)
    [key, *_] = sorted(key for name in archive.raw.list("") if (key := parse_manifest_key(name)))
    data = bytearray(archive.raw.get(key.data))
    data[len(data) // 2] ^= 1
    archive.raw.delete(key.data)
    archive.raw.put_if_absent(key.data, bytes(data))

    with pytest.raises(Damaged):
        seal_day(archive, DAY, now_ns=OVER)
    assert seal_manifest.versions(archive.raw, FEED, DAY) == []


def test_what_two_sessions_recorded_at_once_stands_once_in_the_events_and_twice_in_raw(
    archive: Archive,
) -> None:
    both = frames()
    add_session(archive.raw, ONE, records([START, *both, END]))
    add_session(archive.raw, TWO, records([START, *both, END], at_ns=NOON + 10_000_000))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    files = read_index(archive.normalized, manifest.shards[0].index)
    trades = [file for file in files if file.kind == "trade"]
    ids = [event.trade_id for event in _events(archive, trades[0].key) if isinstance(event, Trade)]
    assert len(ids) == len(set(ids)) == 38
    assert manifest.raw_rows == 2 * (len(both) + 2)
    assert manifest.overlap > 38


@pytest.mark.parametrize("ticker", ["../../../etc/passwd", "..", "a/b/c", "T79.9999", "=2F", " ", "." * 200])
def test_a_hostile_ticker_stays_in_its_folder(archive: Archive, ticker: str) -> None:
    add_session(archive.raw, ONE, records([START, *frames(ticker), END]))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    for file in read_index(archive.normalized, manifest.shards[0].index):
        assert file.key.startswith(f"kalshi-sim/v2/{file.kind}/2025/12/14/")
        assert file.key.count("/") == 7
        assert file.ticker == ticker

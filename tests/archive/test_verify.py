"""Verification names every damaged object, where, and what is at stake."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from archive import layout, seal_manifest
from archive import manifest as raw_manifest
from archive.damage import Finding
from archive.gc import KEEP_NS, remove, superfluous
from archive.layout import EventsKey
from archive.lost_manifests import lost_manifests
from archive.normalized_read import split
from archive.raw import part_keys, read_manifest
from archive.rows import StoredRows, compress, pieces
from archive.seal import Archive, seal_day
from archive.seal_events import read_index
from archive.seal_manifest import SealedFile, latest
from archive.store import Store
from archive.verify import Superseded, verify_day
from streaming import marks
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, snapshot, trade

OVER = NOON + 86_400 * 10**9


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A sealed day whose parts are gone."""
    archive = archive_in(tmp_path)
    frames = [
        snapshot("M1", 1),
        *(one for n in range(2, 200) for one in (delta("M1", n), trade("M1", n, trade_id=str(n)))),
    ]
    found = records([START, *frames, marks.SessionEnd("stopped")])
    add_session(archive.raw, "kalshi-sim-20251214T120000Z-000001", found, part_bytes=9_000)
    seal_day(archive, DAY, now_ns=OVER)
    return archive


def found(archive: Archive, *, deep: bool = False) -> list[Finding]:
    return list(verify_day(archive, DAY, deep=deep))


def change(store: Store, key: str, spoil: Callable[[bytes], bytes]) -> None:
    data = store.get(key)
    store.delete(key)
    store.put_if_absent(key, spoil(data))


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def test_a_sound_day_has_no_findings(archive: Archive) -> None:
    assert found(archive, deep=True) == []
    remove(archive, superfluous(archive, DAY, now_ns=OVER + KEEP_NS))
    assert found(archive, deep=True) == []


def test_a_flipped_bit_in_a_raw_file_is_located_with_the_rows_behind_it(archive: Archive) -> None:
    key = layout.raw_file(FEED, DAY, "orderbook", hour=12)
    size = len(archive.raw.get(key))
    change(archive.raw, key, flip(size - 6))

    [finding] = [one for one in found(archive) if one.key == key]

    assert "SHA-256" in finding.problem
    assert finding.offset is None or size - 64 <= finding.offset <= size
    assert 0 < finding.rows <= 199


def test_a_file_cut_short_says_where_it_ends(archive: Archive) -> None:
    key = layout.raw_file(FEED, DAY, "trade", hour=12)
    size = len(archive.raw.get(key))
    change(archive.raw, key, lambda data: data[: size // 2])

    [finding] = [one for one in found(archive) if one.key == key]

    assert finding.offset == size // 2
    assert finding.problem == f"has {size // 2} bytes instead of {size}"
    assert 0 < finding.rows <= 198


def test_a_normalized_file_that_is_gone_costs_all_its_rows(archive: Archive) -> None:
    key = layout.events_file(FEED, "v2", "trade", DAY, "M1")
    archive.normalized.delete(key)

    assert Finding(key, "is gone", 0, 198) in found(archive)


def test_an_altered_plan_or_manifest_is_found(archive: Archive) -> None:
    change(
        archive.raw, layout.plan_key(FEED, DAY, 1), lambda data: data.replace(b'"shards":1', b'"shards":2')
    )
    assert [one.problem for one in found(archive)] == ["is not the plan that was sealed"]

    change(archive.raw, layout.seal_key(FEED, DAY, 1), lambda data: data[:-40])
    assert any(one.key == layout.seal_key(FEED, DAY, 1) for one in found(archive))


def test_a_manifest_that_was_altered_breaks_the_chain_of_the_next_day(archive: Archive) -> None:
    next_day = layout.day_of(OVER)
    add_session(archive.raw, "kalshi-sim-20251215T120000Z-000002", records([START], at_ns=OVER))
    seal_day(archive, next_day, now_ns=OVER + 86_400 * 10**9)
    change(
        archive.raw, layout.seal_key(FEED, DAY, 1), lambda data: data.replace(b'"markets":1', b'"markets":2')
    )

    [finding] = list(verify_day(archive, next_day))

    assert "no manifest there has the SHA-256" in finding.problem


def test_events_that_are_not_what_raw_makes_of_them_are_found_by_looking_deep(archive: Archive) -> None:
    """Sound files, an index that fits them, a manifest that fits the index: only raw can tell."""
    manifest = latest(archive.raw, FEED, DAY)
    assert manifest is not None
    [shard] = manifest.shards
    [book, trades] = read_index(archive.normalized, shard.index)
    shorter = events_file(archive, trades, rows=100)
    index = b"".join(msgspec.json.encode(one) + b"\n" for one in (book, shorter))
    replaced = stored(archive.normalized, shard.index.key, index)
    forged = msgspec.structs.replace(manifest, shards=[msgspec.structs.replace(shard, index=replaced)])
    change(archive.raw, layout.seal_key(FEED, DAY, 1), lambda _: seal_manifest.encode(forged))

    assert [one.problem for one in found(archive)] == ["is not what the day manifest was made of"]
    archive.raw.delete(layout.step_key(FEED, DAY, 1, "shard-000"))
    assert found(archive) == []
    assert [one.problem for one in found(archive, deep=True)] == ["is not what raw makes of it"]


def events_file(archive: Archive, file: SealedFile, *, rows: int) -> SealedFile:
    """The file with its first events only."""
    messages = list(split(b"".join(pieces(archive.normalized, file)), file.key))[:rows]
    put = stored(archive.normalized, file.key, b"".join(messages))
    return msgspec.structs.replace(file, **{**msgspec.structs.asdict(put), "rows": rows})


def stored(store: Store, key: str, rows: bytes) -> StoredRows:
    data = compress(rows, level=1)
    change(store, key, lambda _: data)
    return StoredRows(
        key=key,
        rows=rows.count(b"\n"),
        raw_bytes=len(rows),
        stored_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sha256_rows=hashlib.sha256(rows).hexdigest(),
    )


@pytest.mark.parametrize("change_of", [{"tickers": ["M1", "M9"]}, {"marks": []}, {"connections": [7]}])
def test_a_part_manifest_that_says_something_else_than_its_lines_is_found_by_looking_deep(
    archive: Archive, change_of: dict[str, object]
) -> None:
    [key, *_] = part_keys(archive.raw, FEED, DAY)
    forged = msgspec.structs.replace(read_manifest(archive.raw, key), **change_of)
    change(archive.raw, key.manifest, lambda _: raw_manifest.encode(forged))

    assert found(archive) == []
    assert [one.problem for one in found(archive, deep=True)] == [
        f"says other {next(iter(change_of))} than its rows"
    ]


def test_a_manifest_that_the_registry_knows_otherwise_or_that_is_gone_is_found(archive: Archive) -> None:
    problems = [one.problem for one in verify_day(archive, DAY, known={1: "0" * 64, 2: "0" * 64})]

    assert problems == ["is not the manifest that the registry knows: its SHA-256 differs", "is gone"]


def test_totals_that_are_not_those_of_the_files_are_found(archive: Archive) -> None:
    manifest = latest(archive.raw, FEED, DAY)
    assert manifest is not None
    forged = msgspec.structs.replace(manifest, raw_rows=manifest.raw_rows + 1, marks=manifest.marks[1:])
    change(archive.raw, layout.seal_key(FEED, DAY, 1), lambda _: seal_manifest.encode(forged))

    problems = [one.problem for one in found(archive)]

    assert problems[0].startswith(f"says raw_rows {manifest.raw_rows + 1}")
    assert problems[1:] == ["holds other marks than its lines"]


def seal_late(archive: Archive) -> None:
    """A second version, whose trades of noon are others."""
    late = records([START, trade("M1", 1, trade_id="late")], at_ns=NOON + 60 * 10**9)
    add_session(archive.raw, "kalshi-sim-20251214T120100Z-000002", late)
    assert seal_day(archive, DAY, now_ns=OVER).version == 2


def test_what_only_an_older_version_names_is_looked_at_too(archive: Archive) -> None:
    seal_late(archive)
    assert found(archive) == []
    gone = [
        layout.raw_file(FEED, DAY, "trade", hour=12),
        layout.index_file(FEED, "v2", DAY, version=1, shard=0),
        f"{layout.seal_prefix(FEED, DAY)}0001.identities-000.zst",
    ]
    for key in gone:
        archive.raw.delete(key)
        archive.normalized.delete(key)

    named = found(archive)

    assert sorted(one.key for one in named) == sorted(gone)
    assert all(isinstance(one, Superseded) for one in named)


def test_an_owner_that_is_gone_is_found(archive: Archive) -> None:
    archive.normalized.delete(layout.owner_key(FEED))

    assert [one.key for one in found(archive)] == [layout.owner_key(FEED)]


def test_a_manifest_that_is_gone_beside_its_data_is_found_on_a_sealed_day(archive: Archive) -> None:
    told = part_keys(archive.raw, FEED, DAY)
    archive.raw.delete(told[1].manifest)
    archive.raw.delete(told[2].manifest)
    archive.raw.delete(told[2].data)  # as `gc` leaves it

    assert [one.key for one in verify_day(archive, DAY, told=told)] == [told[1].manifest]


def test_a_provisional_manifest_that_is_gone_is_found_and_what_a_killed_writer_left_is_not(
    archive: Archive,
) -> None:
    for first, last, is_committed in (
        (1, 5, True),
        (6, 9, False),
        (10, 15, True),
        (12, 14, False),
        (16, 20, False),
    ):
        key = EventsKey(FEED, "v2", DAY, "e", first, last)
        archive.normalized.put_if_absent(key.data("trade"), b"")
        if is_committed:
            archive.normalized.put_if_absent(key.manifest, b"{}")

    gone = [one.key for one in lost_manifests(archive, DAY, latest(archive.raw, FEED, DAY), [])]

    assert gone == [EventsKey(FEED, "v2", DAY, "e", 6, 9).manifest]

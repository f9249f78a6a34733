"""The events of a day by shards of its tickers: the same from one shard and from several, whatever was received."""

from pathlib import Path

import pytest

from archive.seal import Archive, seal_day
from archive.seal_manifest import DayManifest
from streaming import marks
from tests.archive.days import DAY, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, lifecycle, snapshot, trade

OVER = NOON + 86_400 * 10**9
ONE = "kalshi-sim-20251214T120000Z-000001"
END = marks.SessionEnd("stopped")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archive_in(tmp_path)


def sealed(archive: Archive, *frames: bytes) -> DayManifest:
    add_session(archive.raw, ONE, records([START, *frames, END]))
    return seal_day(archive, DAY, now_ns=OVER)


def counts(manifest: DayManifest) -> dict[str, int]:
    return {one.issue: one.count for one in manifest.quality if one.issue != "wire_drift"}


@pytest.mark.parametrize("value", ["999999999999999.9999", 10**15 - 1])
def test_a_settlement_that_no_contract_has_costs_its_value_not_the_day(
    archive: Archive, value: object
) -> None:
    manifest = sealed(archive, lifecycle("M1", "determined", 1, settlement_value=value))

    assert (manifest.events, counts(manifest)) == ({"status": 1}, {"off_grid_price": 1})


def test_a_level_that_grows_without_end_costs_its_book_not_the_day(archive: Archive) -> None:
    most = "999999999999999.99"

    manifest = sealed(archive, snapshot("M1", 1), *(delta("M1", n, change=most) for n in range(2, 200)))

    assert (manifest.events["orderbook"], counts(manifest)) == (1 + 1 + 198, {"parse_error": 1})


def test_an_event_that_cannot_be_stored_costs_itself_not_the_day(archive: Archive) -> None:
    found = list(records([START, trade("M1", 1), trade("M1", 2), END]))
    odd = [found[0], found[1]._replace(connection=2**33), *found[2:]]
    add_session(archive.raw, ONE, iter(odd))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    assert (manifest.events, counts(manifest)) == ({"trade": 1}, {"parse_error": 1})
    assert [shard.unmappable for shard in manifest.shards] == [1]

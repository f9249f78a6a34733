import random
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from archive.gap_rows import unix_ns
from archive.inventory import archived_by, record_new_parts, record_sealed_day
from archive.layout import parse_manifest_key
from archive.reindex import Reindexed, reindex
from archive.seal import Archive, seal_day
from archive.silence import record_silence
from archive.store import DirectoryStore
from registry.models import (
    ArchivePart,
    CaptureSession,
    DataGap,
    DataInventory,
    DataQualityIssue,
    Feed,
    InventorySymbol,
    SealedDay,
)
from tests.archive.conftest import ENVIRONMENT, FEED, SessionMaker
from tests.archive.days import START, add_session, records
from tests.archive.whole_day import NEXT_NIGHT, ON, record_whole_day
from tests.streaming.kalshi.frames import trade as sound_trade

pytestmark = pytest.mark.django_db

MODELS = (ArchivePart, DataInventory, DataGap, CaptureSession, SealedDay, DataQualityIssue)
NOW_NS = unix_ns(NEXT_NIGHT)


@pytest.fixture
def feed(session: SessionMaker, ship: Callable[..., None], store: DirectoryStore) -> Feed:
    row = Feed.objects.create(name=FEED, feed_type="websocket", status="active")
    record_whole_day(session, ship)
    record_new_parts(store, FEED, ENVIRONMENT, now=NEXT_NIGHT)
    return row


def seal(store: DirectoryStore) -> None:
    normalized = DirectoryStore(store.root.parent / "norm")
    archive = Archive(FEED, ENVIRONMENT, store, normalized, store.root.parent / "work", "0.1.0")
    seal_day(archive, ON, now_ns=NOW_NS)
    archived = archived_by(store, FEED, ENVIRONMENT, normalized=normalized)
    assert record_sealed_day(archived, ON, now_ns=NOW_NS)


def rows(*, without: tuple[str, ...] = ()) -> dict[str, list[Any]]:
    """Every column but surrogate keys and when the database learned of it."""
    own = {"id", "processed_at", "ingested_at", "inventory_id"}
    found = {
        model.__name__: sorted(
            ({key: value for key, value in row.items() if key not in own} for row in model.objects.values()),
            key=str,
        )
        for model in MODELS
        if model.__name__ not in without
    }
    of_days = DataGap.objects.values_list("session", "gap_number", "date", "inventory__date")
    return found | {
        "symbols": sorted(InventorySymbol.objects.values_list("inventory__date", "ticker")),
        "inventory of gaps": sorted(of_days, key=str),
    }


def forget() -> None:
    for model in (DataQualityIssue, DataGap, DataInventory, ArchivePart, CaptureSession, SealedDay):
        model.objects.all().delete()


def again(store: DirectoryStore, days: list[date] | None = None) -> Reindexed:
    told: list[str] = []
    normalized = DirectoryStore(store.root.parent / "norm")
    archived = archived_by(store, FEED, ENVIRONMENT, normalized=normalized)
    done = reindex(archived, days, now_ns=NOW_NS, progress=told.append)
    assert told
    return done


def test_an_empty_database_gets_the_rows_that_the_running_system_wrote(
    feed: Feed, store: DirectoryStore
) -> None:
    before = rows()
    forget()

    done = again(store)

    assert rows() == before
    assert (done.parts, done.damaged, done.removed) == (len(before["ArchivePart"]), (), 0)


def test_so_it_does_with_a_sealed_day(feed: Feed, store: DirectoryStore) -> None:
    seal(store)
    before = rows()
    assert len(before["SealedDay"]) == 1
    forget()

    assert again(store).sealed == 1
    assert rows() == before


def test_both_rows_of_a_sealed_day_name_the_connector_and_where_they_lie(
    feed: Feed, store: DirectoryStore
) -> None:
    before = DataInventory.objects.get(date=ON, data_type="raw").connector_version

    seal(store)

    told = DataInventory.objects.filter(date=ON).order_by("data_type")
    assert [row.storage_path.removeprefix(f"file://{store.root.parent}/") for row in told] == [
        f"norm/{FEED}/v2/", f"{store.root.name}/{FEED}/2025/12/14/",
    ]  # fmt: skip
    assert before
    assert [row.connector_version for row in told] == [before, before]


def test_a_sealed_day_is_enough_once_its_parts_are_removed(feed: Feed, store: DirectoryStore) -> None:
    seal(store)
    before = rows(without=("ArchivePart",))
    for key in list(store.list(f"{FEED}/2025/12/14/_parts/")):
        store.delete(key)
    forget()

    again(store)

    after = rows(without=("ArchivePart",))
    assert {name for name in before if before[name] != after[name]} <= {"symbols"}  # its trades are no events


def test_the_markets_of_a_sealed_day_outlive_its_parts(store: DirectoryStore) -> None:
    Feed.objects.create(name=FEED, feed_type="websocket", status="active")
    frames = [sound_trade(ticker, n) for n, ticker in enumerate(("A", "B", "C"), 1)]
    add_session(store, "kalshi-sim-20251214T120000Z-000001", records([START, *frames]))
    record_new_parts(store, FEED, ENVIRONMENT, now=NEXT_NIGHT)
    seal(store)
    before = rows(without=("ArchivePart",))
    for key in list(store.list(f"{FEED}/2025/12/14/_parts/")):
        store.delete(key)
    forget()

    again(store)

    assert [ticker for _, ticker in before["symbols"]] == ["A", "B", "C"]
    assert rows(without=("ArchivePart",)) == before


def test_a_seal_leaves_the_issues_that_follow_from_other_manifests(feed: Feed, store: DirectoryStore) -> None:
    long_ago = NEXT_NIGHT.replace(year=2020)
    for kind in ("quarantined", "parse_error"):
        DataQualityIssue.objects.create(
            feed=feed, date=ON, issue_type=kind, severity="error", detected_at=long_ago
        )

    seal(store)

    assert list(
        DataQualityIssue.objects.filter(detected_at=long_ago).values_list("issue_type", flat=True)
    ) == ["quarantined"]


def test_what_people_wrote_stays_where_the_row_still_exists(feed: Feed, store: DirectoryStore) -> None:
    DataGap.objects.filter(gap_type="connection_lost").update(notes="router", resolved=True)
    before = rows()

    again(store)

    assert rows() == before
    assert DataGap.objects.get(gap_type="connection_lost").notes == "router"


def test_rows_that_no_manifest_stands_for_are_removed_and_wrong_ones_set_right(
    feed: Feed, store: DirectoryStore
) -> None:
    before = rows()
    ArchivePart.objects.filter(first_n=1).update(rows=999)
    CaptureSession.objects.update(end_reason="made up")
    CaptureSession.objects.create(
        session="ghost",
        feed=feed,
        environment=ENVIRONMENT,
        environment_version=1,
        started_at=NEXT_NIGHT,
        last_n=1,
        records=1,
    )
    DataInventory.objects.create(feed=feed, data_type="raw", date=date(2020, 1, 1), status="complete")

    assert again(store).removed == 2
    assert rows() == before


def test_one_day_can_be_made_anew(feed: Feed, store: DirectoryStore) -> None:
    before = rows()
    ArchivePart.objects.filter(date=ON).delete()
    DataGap.objects.filter(date=ON).delete()

    again(store, [ON])

    assert rows() == before


def test_a_damaged_manifest_is_named_and_hides_no_other(feed: Feed, store: DirectoryStore) -> None:
    parts = ArchivePart.objects.count()
    key = [key for key in store.list(f"{FEED}/2025/12/14/") if parse_manifest_key(key)][4]
    store.delete(key)
    store.put_if_absent(key, b"{}")

    done = again(store)

    assert done.damaged == (key,)
    assert ArchivePart.objects.count() == done.parts == parts - 1
    assert DataQualityIssue.objects.get().issue_type == "integrity"
    assert DataInventory.objects.get(date=ON).status == "failed"


def test_a_manifest_that_can_be_read_again_leaves_no_trace(feed: Feed, store: DirectoryStore) -> None:
    before = rows()
    key = [key for key in store.list(f"{FEED}/2025/12/14/") if parse_manifest_key(key)][4]
    whole = store.get(key)
    store.delete(key)
    store.put_if_absent(key, b"{}")
    again(store)
    store.delete(key)
    store.put_if_absent(key, whole)

    again(store)

    assert rows() == before


def test_reindex_writes_no_audit_rows_for_what_stays(feed: Feed, store: DirectoryStore) -> None:
    again(store)

    assert DataGap.history.count() == DataInventory.history.count() == 0


@pytest.mark.parametrize("seed", range(4))
def test_rows_follow_from_manifests_in_whatever_order_they_came(
    feed: Feed, store: DirectoryStore, seed: int
) -> None:
    chance = random.Random(seed)
    kept = {key: store.get(key) for key in store.list(f"{FEED}/") if parse_manifest_key(key)}
    forget()
    for key in kept:
        store.delete(key)
    arriving = chance.sample(sorted(kept), len(kept))

    for key in arriving:
        store.put_if_absent(key, kept[key])
        if chance.random() < 0.3:
            record_new_parts(store, FEED, ENVIRONMENT, now=NEXT_NIGHT, everything=True)
        if chance.random() < 0.1:
            record_silence(store, FEED, ENVIRONMENT, now=NEXT_NIGHT)
    record_new_parts(store, FEED, ENVIRONMENT, now=NEXT_NIGHT, everything=True)
    record_silence(store, FEED, ENVIRONMENT, now=NEXT_NIGHT)

    came = rows()
    forget()
    again(store)
    assert rows() == came

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archive.layout import events_prefix
from archive.normalized_commit import EventsCommitter
from archive.normalized_inventory import record_new_normalized_parts
from archive.normalized_message import BusMessage
from archive.normalized_part import EventsBuilder
from archive.normalized_stand import Stand
from archive.store import DirectoryStore
from registry.models import (
    CaptureSession,
    DataInventory,
    DataQualityIssue,
    Feed,
    InventorySymbol,
    NormalizedPart,
)
from streaming import subjects, wire
from streaming.events import Trade
from tests.archive.bus import DAY_NS, ENVIRONMENT, FEED, NOON, STREAM, TODAY, trade

pytestmark = pytest.mark.django_db

SOON = datetime(2025, 12, 14, 12, 1, tzinfo=UTC)
NEXT_DAY = datetime(2025, 12, 15, 0, 2, tzinfo=UTC)


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name=FEED, feed_type="websocket", status="active")


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "normalized")


def commit(store: DirectoryStore, events: list[Trade], *, after: int = 0) -> None:
    """What an archiver makes of these events in one batch."""
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream=STREAM, archiver_version="0.1.0")
    builder.begin(Stand("20251214T000000000000Z", after))
    for seq, event in enumerate(events, start=after + 1):
        at, identity = event.origin.received_ns, event.origin.identity
        assert builder.take(BusMessage(seq, subjects.address(FEED, event), identity, at, wire.encode(event)))
    committer = EventsCommitter(store, feed=FEED, environment=ENVIRONMENT, halt=threading.Event())
    committer.commit(builder.finish(now_ns=NOON), builder.end)


def lock_away(store: DirectoryStore, *, seq: int, count: int) -> None:
    """What an archiver makes of messages that it cannot read."""
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream=STREAM, archiver_version="0.1.0")
    builder.begin(Stand("20251214T000000000000Z", seq - 1))
    for at in range(seq, seq + count):
        assert builder.take(BusMessage(at, f"{FEED}.trade.X", "", NOON, b"no message"))
    committer = EventsCommitter(store, feed=FEED, environment=ENVIRONMENT, halt=threading.Event())
    committer.commit(builder.finish(now_ns=NOON), builder.end)


def test_what_is_in_quarantine_is_one_issue_of_its_day_with_its_place(
    feed: Feed, store: DirectoryStore
) -> None:
    for seq, count in ((1, 2), (3, 1)):
        lock_away(store, seq=seq, count=count)
        record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)
        record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON, everything=True)

    [issue] = DataQualityIssue.objects.filter(feed=feed, date=TODAY)
    assert (issue.issue_type, issue.severity, issue.count, issue.session) == ("quarantined", "error", 3, "")
    assert issue.sample_data is not None
    assert store.get(issue.sample_data["object"])


def test_the_row_of_today_says_of_raw_what_is_known_of_it(feed: Feed, store: DirectoryStore) -> None:
    session = trade(1).origin.session
    at = {"started_at": SOON, "environment": ENVIRONMENT, "environment_version": 1}
    CaptureSession.objects.create(
        session=session, feed=feed, connector_version="0.1.0", last_n=9, records=9, **at
    )
    raw = DataInventory.objects.create(feed=feed, data_type="raw", date=TODAY, status="processing")
    InventorySymbol.objects.create(inventory=raw, ticker="A")
    commit(store, [trade(1)])

    record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)

    day = DataInventory.objects.get(feed=feed, data_type="normalized", date=TODAY)
    assert (day.symbol_count, day.connector_version) == (1, "0.1.0")


def test_a_committed_part_is_a_row_and_counts_in_its_day(feed: Feed, store: DirectoryStore) -> None:
    commit(store, [trade(1), trade(2)])
    commit(store, [trade(3)], after=2)

    recorded = record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)

    assert recorded.parts == 2
    assert [
        (one.first_seq, one.last_seq, one.rows) for one in NormalizedPart.objects.order_by("first_seq")
    ] == [
        (1, 2, 2),
        (3, 3, 1),
    ]
    day = DataInventory.objects.get(feed=feed, data_type="normalized", date=TODAY, schema_version="v2")
    assert (day.record_count, day.status, day.symbol_count) == (3, "processing", None)
    assert day.byte_size == sum(NormalizedPart.objects.values_list("bytes", flat=True))
    assert day.storage_path == f"file://{store.root}/{events_prefix(FEED, 'v2', TODAY)}"
    assert day.first_timestamp == datetime(2025, 12, 14, 12, 0, 0, 1000, tzinfo=UTC)


def test_recording_twice_changes_nothing(feed: Feed, store: DirectoryStore) -> None:
    commit(store, [trade(1)])
    record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)
    before = list(DataInventory.objects.values())

    again = record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)

    assert again.parts == 0
    assert list(DataInventory.objects.values()) == before
    assert record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON, everything=True).parts == 0


def test_a_day_that_is_over_is_partial_until_it_is_sealed(feed: Feed, store: DirectoryStore) -> None:
    commit(store, [trade(1)])
    record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)
    record_new_normalized_parts(store, FEED, ENVIRONMENT, now=NEXT_DAY)

    assert DataInventory.objects.get(data_type="normalized").status == "partial"


def test_a_part_of_a_day_long_past_is_found(feed: Feed, store: DirectoryStore) -> None:
    commit(store, [trade(1)])
    record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)
    commit(store, [trade(2, received_ns=NOON - 9 * DAY_NS)], after=1)

    assert record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON).parts == 0
    assert record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON, everything=True).parts == 1


def test_an_unreadable_manifest_hides_no_other(feed: Feed, store: DirectoryStore) -> None:
    commit(store, [trade(1)])
    commit(store, [trade(2)], after=1)
    [first, _] = sorted(store.root.rglob("*.json"))[:2]
    first.write_bytes(b"{")

    recorded = record_new_normalized_parts(store, FEED, ENVIRONMENT, now=SOON)

    assert (recorded.parts, recorded.damaged) == (1, 1)

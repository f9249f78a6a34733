import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from archive.inventory import record_new_parts
from archive.layout import parse_manifest_key
from archive.store import DirectoryStore
from registry.models import ArchivePart, DataGap, DataInventory, Feed, InventorySymbol
from streaming import marks
from streaming.capture_log import CaptureLog
from streaming.records import Kind
from tests.archive.conftest import ENVIRONMENT, FEED, NOON, Clock, SessionMaker, add_trades, trade

pytestmark = pytest.mark.django_db

SOON = datetime(2025, 12, 14, 12, 1, tzinfo=UTC)
NEXT_DAY = datetime(2025, 12, 15, 0, 2, tzinfo=UTC)
HOUR_NS = 3_600 * 10**9


@pytest.fixture
def feed() -> Feed:
    return Feed.objects.create(name=FEED, feed_type="websocket", status="active")


def record(store: DirectoryStore, now: datetime = SOON, **options: Any) -> int:
    return record_new_parts(store, FEED, ENVIRONMENT, now=now, **options).parts


def rows() -> dict[str, list[Any]]:
    """All that follows from the manifests."""
    own = ("id", "processed_at", "ingested_at", "inventory_id", "inventory")
    return {
        model.__name__: sorted(
            ({k: v for k, v in row.items() if k not in own} for row in model.objects.values()), key=str
        )
        for model in (ArchivePart, DataInventory, DataGap)
    } | {"symbols": sorted(InventorySymbol.objects.values("inventory__date", "ticker"), key=str)}


def forget() -> None:
    for model in (DataGap, DataInventory, ArchivePart):
        model.objects.all().delete()


def lose_connection(log: CaptureLog, cause: str = "connection_lost", tickers: tuple[str, ...] = ()) -> int:
    gap = marks.GapOpen(
        cause=cause, connection=1, from_ns=log.last_received_ns, after_n=log.last_n, tickers=list(tickers)
    )
    return log.mark(gap, connection=1)


def be_ready(log: CaptureLog) -> None:
    log.mark(marks.ConnectionReady(connection=1, tickers=1), connection=1)


def crash(log: CaptureLog) -> None:
    """The marks that the dead get, at a time of the test's own."""
    lose_connection(log, "process_crash")
    log.mark(marks.SessionEnd(reason="process_crash"))


@pytest.fixture
def eventful(session: SessionMaker, ship: Callable[..., None]) -> None:
    """Two days, a connection lost and back, a crash over midnight, a session after it, in many parts."""
    first = session("kalshi-sim-1")
    be_ready(first)
    add_trades(first, 20)
    gap = lose_connection(first)
    first.mark(marks.GapClose(gap=gap, to_ns=first.last_received_ns + 5_000_000))
    first._clock = Clock(NOON + 12 * HOUR_NS - 10_000_000)
    lose_connection(first, "sequence_gap", ("KXBTC-1",))
    crash(first)
    second = session("kalshi-sim-2", at_ns=NOON + 12 * HOUR_NS + 60 * 10**9)
    second.append(trade(1, "KXETH-1"), kind=Kind.TEXT, connection=1)
    be_ready(second)
    add_trades(second, 20)
    lose_connection(second)
    ship(part_bytes=1_000)


def test_new_parts_become_rows_once(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    add_trades(session(), 20)
    ship(part_bytes=1_000)

    assert record(store) == ArchivePart.objects.count() > 1
    assert record(store) == 0

    row = DataInventory.objects.get()
    assert (row.data_type, row.date, row.schema_version) == ("raw", date(2025, 12, 14), None)
    assert (row.record_count, row.symbol_count, row.gap_count, row.status) == (21, 1, 0, "processing")
    assert row.byte_size == sum(ArchivePart.objects.values_list("stored_bytes", flat=True))
    assert (row.connector_version, row.processor_version) == ("0.1.0", "0.1.0")
    assert row.first_timestamp == datetime(2025, 12, 14, 12, 0, 0, 1000, tzinfo=UTC)
    assert row.storage_path == f"file://{store.root}/kalshi-sim/2025/12/14/"


def test_counts_grow_with_each_part(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    ship()
    record(store)
    log.append(trade(1, "KXETH-1"), kind=Kind.TEXT, connection=1)
    ship()

    record(store)

    row = DataInventory.objects.get()
    assert (row.record_count, row.symbol_count) == (7, 2)
    assert set(row.symbols.values_list("ticker", flat=True)) == {"KXBTC-1", "KXETH-1"}


def test_a_day_that_is_over_is_partial_until_it_is_sealed(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    add_trades(session(), 5)
    ship()
    record(store)

    record(store, NEXT_DAY)

    assert DataInventory.objects.get().status == "partial"


def test_gap_rows_open_and_close_with_their_marks(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    number = lose_connection(log, tickers=("KXBTC-1",))
    ship()
    record(store)
    gap = DataGap.objects.get()
    assert (gap.gap_number, gap.gap_type, gap.gap_end, gap.symbols) == (
        number,
        "connection_lost",
        None,
        ["KXBTC-1"],
    )
    assert DataInventory.objects.get().gap_count == 1

    log.mark(marks.GapClose(gap=number, to_ns=log.last_received_ns))
    ship()
    record(store)

    gap.refresh_from_db()
    assert gap.gap_end is not None
    assert gap.inventory == DataInventory.objects.get()
    assert not gap.resolved


def test_a_crash_over_midnight_is_two_rows_and_ends_with_the_next_session(
    feed: Feed, eventful: None, store: DirectoryStore
) -> None:
    record(store, NEXT_DAY)

    crashes = DataGap.objects.filter(gap_type="process_crash").order_by("date")
    assert [row.date.day for row in crashes] == [14, 15]
    assert crashes[0].gap_end == crashes[1].gap_start == datetime(2025, 12, 15, tzinfo=UTC)
    assert crashes[1].gap_end is not None
    assert crashes[1].gap_end.minute == 1


def test_an_open_gap_reaches_into_the_new_day_without_a_new_part(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    lose_connection(log)
    ship()
    record(store)

    record(store, NEXT_DAY)

    first, second = DataGap.objects.filter(gap_type="connection_lost").order_by("date")
    assert (first.gap_end, second.gap_start, second.gap_end) == (second.gap_start, second.gap_start, None)


def test_what_a_person_wrote_on_a_gap_stays(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    number = lose_connection(log)
    ship()
    record(store)
    DataGap.objects.update(notes="router replaced", resolved=True)

    log.mark(marks.GapClose(gap=number, to_ns=log.last_received_ns))
    ship()
    record(store)

    gap = DataGap.objects.get()
    assert (gap.notes, gap.resolved, gap.gap_end is not None) == ("router replaced", True, True)


def test_an_empty_database_gets_the_same_rows_again(
    feed: Feed, eventful: None, store: DirectoryStore
) -> None:
    record(store, NEXT_DAY)
    first = rows()
    forget()

    record(store, NEXT_DAY, everything=True)

    assert rows() == first
    assert len(first["DataGap"]) == 6


def test_a_recount_writes_no_audit_row(feed: Feed, eventful: None, store: DirectoryStore) -> None:
    record(store, NEXT_DAY)

    assert DataGap.history.count() == DataInventory.history.count() == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_manifests_arrive_does_not_matter(
    feed: Feed, eventful: None, store: DirectoryStore, seed: int
) -> None:
    record(store, NEXT_DAY)
    at_once = rows()
    forget()
    manifests = [key for key in store.list(f"{FEED}/") if parse_manifest_key(key)]
    kept = {key: store.get(key) for key in manifests}
    for key in manifests:
        store.delete(key)

    random.Random(seed).shuffle(manifests)
    for count, key in enumerate(manifests):
        store.put_if_absent(key, kept[key])
        if count % 3 == 0:
            record(store, NEXT_DAY)
    record(store, NEXT_DAY)

    assert rows() == at_once


def test_a_manifest_that_cannot_be_read_hides_no_other(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    ship()
    [key] = [key for key in store.list(f"{FEED}/") if parse_manifest_key(key)]
    store.delete(key)
    store.put_if_absent(key, b"{}")
    session("kalshi-sim-2")
    ship()

    found = record_new_parts(store, FEED, ENVIRONMENT, now=SOON)

    assert (found.parts, found.damaged) == (1, 1)


def test_parts_of_a_late_shipper_are_found(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    ship()
    record(store)
    add_trades(log, 5)
    ship()

    assert record(store, datetime(2025, 12, 19, tzinfo=UTC)) == 1


def test_a_loss_of_trades_that_rest_has_filled_is_resolved(
    feed: Feed, session: SessionMaker, ship: Callable[..., None], store: DirectoryStore
) -> None:
    log = session("kalshi-sim-1")
    be_ready(log)
    gap = marks.GapOpen(
        "sequence_gap", 1, log.last_received_ns, log.last_n, sid=2, channel="trade", healable=True
    )
    number = log.mark(gap, connection=1)
    log.mark(marks.GapClose(gap=number, to_ns=log.last_received_ns))
    ship()
    record(store)
    assert not DataGap.objects.get().resolved
    log.mark(marks.GapHealed(gap=number, trades=3))
    ship()

    record(store)

    row = DataGap.objects.get()
    assert (row.resolved, row.resolved_at, row.detail["trades_healed"]) == (True, row.gap_end, 3)

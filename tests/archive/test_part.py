import threading
from collections import deque
from datetime import date
from pathlib import Path
from typing import Any

from archive.part import PartBuilder
from archive.raw import part_keys, read_manifest
from archive.shipper import Shipper
from archive.store import DirectoryStore
from streaming import marks
from streaming.records import Kind
from tests.archive.conftest import (
    FEED,
    NOON,
    SessionMaker,
    add_trades,
    archived,
    make_config,
    read_all,
    trade,
)

DAY = date(2025, 12, 14)
HOUR_NS = 3_600 * 10**9


def test_every_record_is_archived_once_and_byte_for_byte(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 50)

    ship()

    assert archived(store) == read_all(log)
    assert [record.n for record in archived(store)] == list(range(1, 52))


def test_a_part_ends_with_its_hour(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session(at_ns=NOON + HOUR_NS - 5_000_000)
    add_trades(log, 10)

    ship()

    assert [(key.first_n, key.last_n) for key in part_keys(store, FEED, DAY)] == [(1, 4), (5, 11)]


def test_a_day_lies_under_its_own_date(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session(at_ns=NOON + 12 * HOUR_NS - 5_000_000)
    add_trades(log, 10)

    ship()

    [before] = part_keys(store, FEED, DAY)
    [after] = part_keys(store, FEED, date(2025, 12, 15))
    assert (before.last_n, after.first_n) == (4, 5)
    add_trades(log, 1)
    ship()
    assert archived(store) == read_all(log)


def test_a_part_ends_at_its_size(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session()
    add_trades(log, 100)

    ship(part_bytes=2_000)

    assert len(part_keys(store, FEED, DAY)) > 5
    assert archived(store) == read_all(log)


def test_a_part_is_committed_when_its_seconds_are_over(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    shipper = Shipper(make_config(capture, store, part_seconds=0), threading.Event())

    shipper.step()

    assert archived(store) == read_all(log)


def test_a_ticker_that_no_venue_has_stays_in_its_line_and_out_of_the_manifest(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    odd = ("A" * 201, "A\\u0000B", "A\\nB", "A\\u0007")
    for ticker in ("A" * 200, *odd, "KXH-T72999.99"):
        log.append(trade(1, ticker), kind=Kind.TEXT, connection=1)

    ship()

    [key] = part_keys(store, FEED, DAY)
    assert read_manifest(store, key).tickers == ["A" * 200, "KXH-T72999.99"]
    assert archived(store) == read_all(log)


def test_a_mark_with_a_nul_is_kept_in_its_line_and_readable_in_the_manifest(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    log.mark(marks.ConnectionClose(1, 1001, "bye\0bye"))

    ship()

    [key] = part_keys(store, FEED, DAY)
    assert read_manifest(store, key).marks[-1].decode() == marks.ConnectionClose(1, 1001, "bye\ufffdbye")
    assert archived(store) == read_all(log)


def test_a_part_ends_at_the_last_n_that_it_was_given(session: SessionMaker) -> None:
    log = session()
    add_trades(log, 20)
    builder = PartBuilder(feed=FEED, environment="demo", session="kalshi-sim-1", shipper_version="0.1.0")
    waiting = deque(read_all(log))

    assert builder.take(waiting, until_n=7)

    assert builder.finish().manifest.last_n == 7
    assert waiting[0].n == 8

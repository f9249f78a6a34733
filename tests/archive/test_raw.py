from collections.abc import Callable
from datetime import date

import pytest

from archive.files import Damaged
from archive.raw import part_keys, read_day
from archive.store import DirectoryStore
from tests.archive.conftest import FEED, SessionMaker, add_trades

DAY = date(2025, 12, 14)


@pytest.fixture
def two_sessions(session: SessionMaker, ship: Callable[..., None]) -> None:
    add_trades(session("kalshi-sim-1"), 30)
    add_trades(session("kalshi-sim-2"), 5)
    ship(part_bytes=2_000)


def replace(store: DirectoryStore, key: str, content: bytes) -> None:
    store.delete(key)
    store.put_if_absent(key, content)


def test_a_day_is_read_session_by_session_in_n_order(two_sessions: None, store: DirectoryStore) -> None:
    found = [(raw.session, raw.record.n) for raw in read_day(store, FEED, DAY)]

    assert found == [
        *(("kalshi-sim-1", n) for n in range(1, 32)),
        *(("kalshi-sim-2", n) for n in range(1, 7)),
    ]
    assert len(list(read_day(store, FEED, DAY, session="kalshi-sim-2"))) == 6


def test_any_altered_byte_of_a_part_is_noticed(two_sessions: None, store: DirectoryStore) -> None:
    [key] = part_keys(store, FEED, DAY, session="kalshi-sim-2")
    data = store.get(key.data)

    for position in range(0, len(data), 7):
        altered = bytearray(data)
        altered[position] ^= 4
        replace(store, key.data, bytes(altered))
        with pytest.raises(Damaged):
            list(read_day(store, FEED, DAY, session="kalshi-sim-2"))


def test_a_manifest_of_another_part_is_refused(two_sessions: None, store: DirectoryStore) -> None:
    first, second, *_ = part_keys(store, FEED, DAY, session="kalshi-sim-1")
    replace(store, first.manifest, store.get(second.manifest))

    with pytest.raises(Damaged, match="another part"):
        list(read_day(store, FEED, DAY))


def test_parts_that_overlap_are_refused(two_sessions: None, store: DirectoryStore) -> None:
    first, *_ = part_keys(store, FEED, DAY, session="kalshi-sim-1")
    twin = type(first)(first.feed, first.on, first.session, first.first_n, first.last_n - 1)
    store.put_if_absent(twin.manifest, store.get(first.manifest))

    with pytest.raises(Damaged, match="the same records"):
        list(read_day(store, FEED, DAY))

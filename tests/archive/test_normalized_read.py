import random
import threading
from pathlib import Path

import pytest

from archive.files import Damaged
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage, Poison, framed_length, require_framed, sort
from archive.normalized_part import EventsBuilder
from archive.normalized_read import read_events, read_part, read_parts, split
from archive.normalized_stand import Stand
from archive.store import DirectoryStore
from streaming import subjects, wire
from streaming.events import Trade
from tests.archive.bus import (
    ENVIRONMENT,
    FEED,
    NOON,
    SESSION,
    STREAM,
    TODAY,
    manifests_of,
    numbers,
    trade,
    trades,
)

EPOCH = "20251214T000000000000Z"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "normalized")


def message(seq: int, event: Trade) -> BusMessage:
    at, identity = event.origin.received_ns, event.origin.identity
    return BusMessage(seq, subjects.address(FEED, event), identity, at, wire.encode(event))


def commit(store: DirectoryStore, events: list[Trade], *, after: int = 0, epoch: str = EPOCH) -> None:
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream=STREAM, archiver_version="0.1.0")
    builder.begin(Stand(epoch, after))
    for seq, event in enumerate(events, start=after + 1):
        assert builder.take(message(seq, event))
    committer = EventsCommitter(store, feed=FEED, environment=ENVIRONMENT, halt=threading.Event())
    committer.commit(builder.finish(now_ns=NOON), builder.end)


def test_all_that_was_archived_is_read_as_it_came(store: DirectoryStore) -> None:
    commit(store, trades(1, 3))
    commit(store, trades(3, 4), after=3)

    found = list(read_parts(store, FEED, "v2", TODAY))

    assert found == [("trade", wire.encode(event)) for event in [*trades(1, 3), *trades(3, 4)]]


def test_events_are_read_once_and_by_time_whatever_parts_they_lie_in(
    store: DirectoryStore,
) -> None:
    chance = random.Random(7)
    for number in range(12):
        first = chance.randint(1, 80)
        some = trades(first, first + chance.randint(0, 40))
        chance.shuffle(some)
        commit(store, some, after=1000 * number, epoch=EPOCH if number % 3 else f"{EPOCH}-2")
    commit(store, trades(1, 120), after=50_000)

    assert list(read_events(store, FEED, TODAY)) == trades(1, 120)


def test_two_sessions_of_one_time_are_told_apart(store: DirectoryStore) -> None:
    other = trade(1, session="kalshi-sim-20251214T001100Z-ffffff")
    commit(store, [other, trade(1), trade(1)])

    assert list(read_events(store, FEED, TODAY)) == [trade(1), other]


def test_a_day_without_parts_has_no_events(store: DirectoryStore) -> None:
    assert numbers(list(read_events(store, FEED, TODAY))) == []


def test_a_part_that_is_repeated_is_the_same_part(store: DirectoryStore) -> None:
    commit(store, trades(1, 3))
    commit(store, trades(1, 3))

    assert len(manifests_of(store)) == 1


def test_what_lies_in_a_parts_place_is_never_overwritten_and_hides_nothing(store: DirectoryStore) -> None:
    commit(store, trades(1, 3))
    commit(store, trades(4, 6))  # as if the same numbers had meant something else

    assert [part.epoch for part in manifests_of(store)] == [EPOCH, f"{EPOCH}-2"]
    assert list(read_events(store, FEED, TODAY)) == trades(1, 6)


def test_a_part_whose_data_are_gone_is_damaged(store: DirectoryStore) -> None:
    commit(store, trades(1, 3))
    [part] = manifests_of(store)
    store.delete(part.key.data("trade"))

    with pytest.raises(Damaged, match=r"trade\.capnp\.zst is gone"):
        list(read_part(store, part))


def test_messages_one_after_the_other_are_split_by_their_own_lengths() -> None:
    messages = [wire.encode(event) for event in trades(1, 5)]
    assert list(split(b"".join(messages), "key")) == messages
    with pytest.raises(Damaged, match="key does not end with a whole message"):
        list(split(b"".join(messages)[:-8], "key"))


def test_a_message_of_several_segments_is_one_message() -> None:
    two = b"\1\0\0\0" + b"\2\0\0\0" + b"\1\0\0\0" + bytes(4) + bytes(24)
    assert framed_length(two + b"rest", 0) == len(two)
    require_framed(two)


@pytest.mark.parametrize(
    ("subject", "data", "says"),
    [
        ("kalshi-sim.raw.trade", b"", "no events are kept"),
        ("kalshi-sim", b"", "no events are kept"),
        ("kalshi-sim.trade.KXBTC-1=2E5", b"", "first words"),
        ("kalshi-sim.trade.KXBTC-1=2E5", bytes(600_000), "larger"),
        ("kalshi-sim.trade.KXBTC-2", wire.encode(trade(1)), "is of 'KXBTC-1.5'"),
        ("kalshi-sim.ticker.=", b"\0\0\0\0\1\0\0\0" + bytes(8), "no session"),
    ],
)
def test_what_is_no_event_is_poison(subject: str, data: bytes, says: str) -> None:
    with pytest.raises(Poison, match=says):
        sort(BusMessage(1, subject, "", NOON, data))


def test_an_event_from_the_future_is_poison() -> None:
    event = trade(1, received_ns=NOON + 2 * 3600 * 10**9)
    with pytest.raises(Poison, match="after the bus stored it"):
        sort(message(1, event)._replace(stored_ns=NOON))


def test_a_part_counts_its_sessions(store: DirectoryStore) -> None:
    other = "kalshi-sim-20251214T001100Z-ffffff"
    commit(store, [trade(5), trade(3), trade(9, session=other)])

    [part] = manifests_of(store)
    assert part.sessions == {SESSION: (3, 5, 2), other: (9, 9, 1)}

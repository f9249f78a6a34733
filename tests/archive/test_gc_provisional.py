"""Provisional parts go only when raw has all of them."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from archive import layout
from archive.gc import KEEP_NS, remove, superfluous
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage
from archive.normalized_part import EventsBuilder
from archive.normalized_stand import Stand
from archive.objects import ObjectMissing
from archive.seal import Archive, seal_day
from streaming import subjects, wire
from streaming.events import Trade
from streaming.kalshi.normalizer import Normalizer
from tests.archive.days import DAY, ENVIRONMENT, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import trade

FRAMES = [trade("M1", n, trade_id=f"t{n}") for n in range(1, 9)]
ONE, LOST = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T130000Z-000002"
OVER = NOON + 86_400 * 10**9


def add_provisional(archive: Archive, session: str, span: slice) -> None:
    """Some events of a session, as the archiver writes them."""
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream="s", archiver_version="0.1.0")
    builder.begin(Stand(f"2025121{session[-1]}T000000000000Z", span.start))
    found: Sequence[Trade] = [
        event
        for record in records([START, *FRAMES])
        for event in Normalizer(session).apply(record)
        if isinstance(event, Trade)
    ]
    for seq, event in enumerate(found[span], start=span.start + 1):
        where = subjects.address(FEED, event)
        builder.take(
            BusMessage(seq, where, event.origin.identity, event.origin.received_ns, wire.encode(event))
        )
    committer = EventsCommitter(
        archive.normalized, feed=FEED, environment=ENVIRONMENT, halt=threading.Event()
    )
    committer.commit(builder.finish(now_ns=NOON), builder.end)


def provisional(archive: Archive) -> list[str]:
    return list(archive.normalized.list(layout.events_prefix(FEED, "v2", DAY)))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = archive_in(tmp_path)
    add_session(archive.raw, ONE, records([START, *FRAMES[:5]]))
    add_provisional(archive, ONE, slice(0, 5))
    return archive


def test_parts_go_when_raw_has_all_of_them(archive: Archive) -> None:
    seal_day(archive, DAY, now_ns=OVER)

    remove(archive, superfluous(archive, DAY, now_ns=OVER + KEEP_NS))

    assert provisional(archive) == []


@pytest.mark.parametrize(("session", "span"), [(ONE, slice(5, 8)), (LOST, slice(0, 8))])
def test_events_of_which_raw_has_nothing_stay(archive: Archive, session: str, span: slice) -> None:
    """The disk with the capture log broke before the last records were shipped: no other copy is left."""
    others = set(provisional(archive))
    add_provisional(archive, session, span)
    only_copy = set(provisional(archive)) - others
    seal_day(archive, DAY, now_ns=OVER)

    remove(archive, superfluous(archive, DAY, now_ns=OVER + KEEP_NS))

    assert set(provisional(archive)) == only_copy
    assert len(only_copy) == 2


def test_a_part_that_cannot_be_read_stays_and_keeps_nobody_else(archive: Archive, tmp_path: Path) -> None:
    add_provisional(archive, LOST, slice(0, 8))
    seal_day(archive, DAY, now_ns=OVER)
    unreadable = next(key for key in provisional(archive) if "20251212" in key and key.endswith(".json"))
    (tmp_path / "normalized" / unreadable).write_bytes(b"{}")

    remove(archive, superfluous(archive, DAY, now_ns=OVER + KEEP_NS))

    assert len(provisional(archive)) == 2


def test_a_day_that_was_cleared_is_not_read_again(archive: Archive) -> None:
    manifest = seal_day(archive, DAY, now_ns=OVER)
    remove(archive, superfluous(archive, DAY, now_ns=OVER + KEEP_NS))
    archive.raw.delete(manifest.raw[0].key)  # `data verify` would find that

    assert superfluous(archive, DAY, now_ns=OVER + KEEP_NS) == ([], [])
    with pytest.raises(ObjectMissing):
        archive.raw.get(manifest.raw[0].key)

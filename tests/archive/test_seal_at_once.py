"""Several who seal one day in the same moment, while the archiver goes on writing."""

import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from archive import layout, seal_manifest
from archive.bus_identities import see_bus
from archive.files import Damaged
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage
from archive.normalized_part import EventsBuilder
from archive.normalized_stand import Stand
from archive.plan import plan_day
from archive.seal import Archive, seal_day
from archive.spill import Spill
from archive.verify import verify_day
from streaming import subjects, wire
from streaming.events import Trade
from streaming.kalshi.normalizer import Normalizer
from tests.archive.days import DAY, ENVIRONMENT, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import trade

FRAMES = [trade("M1", n, trade_id=f"t{n}") for n in range(1, 9)]
ONE = "kalshi-sim-20251214T120000Z-000001"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    archive = archive_in(tmp_path)
    add_session(archive.raw, ONE, records([START, *(FRAMES)]))
    return archive


def archive_from_the_bus(archive: Archive, *, after: int, count: int) -> None:
    """A provisional part with some of the day's trades, as the archiver writes it."""
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream="s", archiver_version="0.1.0")
    builder.begin(Stand("20251214T000000000000Z", after))
    normalizer = Normalizer(ONE)
    found = (event for record in records([START, *FRAMES]) for event in normalizer.apply(record))
    events = [event for event in found if isinstance(event, Trade)]
    for seq, event in enumerate(events[after : after + count], start=after + 1):
        identity = event.origin.identity
        message = BusMessage(seq, subjects.address(FEED, event), identity, NOON, wire.encode(event))
        builder.take(message)
    committer = EventsCommitter(
        archive.normalized, feed=FEED, environment=ENVIRONMENT, halt=threading.Event()
    )
    committer.commit(builder.finish(now_ns=NOON), builder.end)


def test_the_first_look_at_the_bus_counts_though_the_archiver_went_on(archive: Archive) -> None:
    archive_from_the_bus(archive, after=0, count=3)
    plan, _ = plan_day(archive.raw, FEED, ENVIRONMENT, DAY, now_ns=NOON)
    first = see_bus(archive.raw, archive.normalized, plan)
    report = layout.step_key(FEED, DAY, plan.version, "bus")
    (archive.raw.root / report).rename(archive.work.parent / "hidden")  # type: ignore[attr-defined]
    archive_from_the_bus(archive, after=3, count=2)

    second = see_bus(archive.raw, archive.normalized, plan)  # what the first one stored is in nobody's way
    assert (first.identities.rows, second.identities.rows) == (3, 5)

    seal_day(archive, DAY, now_ns=NOON)
    assert list(verify_day(archive, DAY)) == []


def test_of_two_reports_of_one_step_the_first_counts(archive: Archive) -> None:
    plan, _ = plan_day(archive.raw, FEED, ENVIRONMENT, DAY, now_ns=NOON)
    first = see_bus(archive.raw, archive.normalized, plan)
    key = layout.step_key(FEED, DAY, plan.version, "bus")

    other = msgspec.structs.replace(first, parts=7)

    assert seal_manifest.put_report(archive.raw, key, other) == first


def test_a_shard_whose_files_hold_other_events_than_raw_leads_to_is_not_committed(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = Spill.add

    def twice(spill: Spill, *event: Any) -> None:
        add(spill, *event)
        add(spill, *event)

    monkeypatch.setattr(Spill, "add", twice)

    with pytest.raises(Damaged, match="16 events and 0 of overlap were written, raw leads to 8"):
        seal_day(archive, DAY, now_ns=NOON)


def test_what_only_the_bus_has_of_a_day_that_is_over_is_counted(tmp_path: Path) -> None:
    archive = archive_in(tmp_path)
    add_session(archive.raw, ONE, records([START, *FRAMES[:5]]))
    archive_from_the_bus(archive, after=0, count=8)

    going_on = seal_day(archive, DAY, now_ns=NOON)
    over = seal_day(archive, DAY, now_ns=NOON + 86_400 * 10**9)

    assert (going_on.nats_unexpected, over.nats_unexpected) == (0, 3)
    assert over.unfinished == [ONE]

from collections.abc import Callable
from decimal import Decimal

import pytest

from archive.day_rows import report_of
from archive.gap_rows import unix_ns
from archive.inventory import archived_by, record_new_parts
from archive.session_marks import CHANNELS
from archive.store import DirectoryStore
from registry.models import CaptureSession, DataGap, DataInventory, Feed
from tests.archive.conftest import ENVIRONMENT, FEED, SessionMaker
from tests.archive.whole_day import MIDNIGHT, NEXT_NIGHT, ON, SECOND, record_whole_day

pytestmark = pytest.mark.django_db

DAY_SECONDS = 86_400


@pytest.fixture
def recorded(session: SessionMaker, ship: Callable[..., None], store: DirectoryStore) -> None:
    Feed.objects.create(name=FEED, feed_type="websocket", status="active")
    record_whole_day(session, ship)
    record_new_parts(store, FEED, ENVIRONMENT, now=NEXT_NIGHT)


def test_24_hours_are_tiled_to_the_nanosecond_on_every_channel(recorded: None, store: DirectoryStore) -> None:
    judged = report_of(archived_by(store, FEED, ENVIRONMENT), ON, now_ns=unix_ns(NEXT_NIGHT))

    for channel in CHANNELS:
        tiles = judged.tiles[channel]
        assert sum(tile.end_ns - tile.start_ns for tile in tiles) == DAY_SECONDS * SECOND
        gaps = [
            (
                tile.loss.mark.cause,
                (tile.start_ns - MIDNIGHT) // SECOND,
                (tile.end_ns - tile.start_ns) // SECOND,
            )
            for tile in tiles
            if tile.loss
        ]
        expected = [
            ("planned_teardown", 0, 605),
            ("connection_lost", 21_600, 30),
            ("sequence_gap", 32_400, 2),
            ("process_crash", 54_000, 25),
        ]
        assert gaps == [gap for gap in expected if gap[0] != "sequence_gap" or channel == "trade"]
        assert {str(tile.kind) for tile in tiles} == {"captured", "gap"}


def test_the_rows_say_the_same(recorded: None) -> None:
    row = DataInventory.objects.get(date=ON)

    assert (row.status, row.gap_count) == ("partial", 6)
    # 30 + 2 + 25 s of everything, 10 s of half and 100 s of a quarter of the books: 87 s of 86,400.
    assert row.quality_score == Decimal("0.99")
    ends = CaptureSession.objects.order_by("started_at").values_list("end_reason", "environment_version")
    assert list(ends) == [("stopped", 1), ("process_crash", 1), ("stopped", 1)]
    assert not DataGap.objects.filter(date=ON, gap_end=None).exists()


def test_what_each_gap_cost_adds_up_to_the_score(recorded: None, store: DirectoryStore) -> None:
    judged = report_of(archived_by(store, FEED, ENVIRONMENT), ON, now_ns=unix_ns(NEXT_NIGHT))

    costs = {one.loss.mark.cause: one.cost * DAY_SECONDS for one in judged.losses if one.cost}
    assert {cause: round(float(cost)) for cause, cost in costs.items()} == {
        "connection_lost": 30,
        "sequence_gap": 5,
        "subscription_incomplete": 25,
        "process_crash": 25,
    }
    assert sum(one.cost for one in judged.losses) == judged.score.terms[0].cost
    assert judged.facts.unplanned == 5

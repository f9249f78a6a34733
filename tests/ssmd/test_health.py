"""How the state of a feed is judged: market data, not messages about ssmd itself."""

import time
from datetime import UTC, datetime

import pytest
from django.test import Client

from registry.models import DataGap, Feed
from ssmd import gateway
from ssmd.health import judge
from streaming.hub import Hub, Serving

BEGAN = datetime(2026, 7, 19, 18, 3, 11, tzinfo=UTC)
CRASHED = DataGap(gap_type="process_crash", gap_start=BEGAN)
STOPPED = DataGap(gap_type="planned_teardown", gap_start=BEGAN, planned=True)


def test_data_that_come_are_well() -> None:
    assert judge([], silent_for=2, is_first_awaited=False) == ("ok", "market data come")


def test_an_open_gap_is_named_with_its_beginning_though_data_come() -> None:
    status, detail = judge([CRASHED], silent_for=1, is_first_awaited=False)

    assert (status, detail) == ("gap_open", "process_crash since 2026-07-19 18:03:11Z")


def test_a_crash_loop_says_how_many_gaps_are_open_and_for_how_long_nothing_came() -> None:
    status, detail = judge([CRASHED] * 5, silent_for=40, is_first_awaited=False)

    assert status == "gap_open"
    assert "(5 gaps are open); no market data for 40 s" in detail


def test_silence_without_a_loss_is_quiet() -> None:
    status, detail = judge([], silent_for=20, is_first_awaited=False)

    assert (status, "no market data for 20 s" in detail) == ("quiet", True)


def test_silence_after_a_planned_stop_says_so() -> None:
    status, detail = judge([STOPPED], silent_for=20, is_first_awaited=False)

    assert (status, "stopped on purpose" in detail) == ("stopped", True)


def test_a_process_that_has_just_begun_waits_for_its_first_data() -> None:
    assert judge([], silent_for=3, is_first_awaited=True)[0] == "waiting"
    assert judge([], silent_for=20, is_first_awaited=True)[0] == "quiet"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A hub of this process that follows nothing, and says that the bus stands."""
    hub = Hub(Serving("demo", "kalshi-sim", "ssmd-kalshi-sim", "nats://127.0.0.1:1"))
    hub.state = "live"
    monkeypatch.setattr(gateway, "_hub", hub)
    return hub


@pytest.mark.django_db
def test_a_feed_whose_connector_crashes_is_degraded_with_the_cause_and_answers_200(hub: Hub) -> None:
    feed = Feed.objects.create(name="kalshi-sim", feed_type="websocket", venue="kalshi")
    for number in range(2):
        DataGap.objects.create(
            feed=feed, date="2026-07-19", gap_start=BEGAN, gap_type="process_crash", gap_number=number
        )
    hub.received["gap"] += 2

    answer = Client().get("/v1/health")

    data = answer.json()["components"]["data"]
    assert (answer.status_code, answer.json()["status"], data["status"]) == (200, "degraded", "gap_open")
    assert (data["capturing"], data["market_data_messages"], data["market_data_age_seconds"]) == (
        False,
        0,
        None,
    )
    assert data["open_gaps"][0]["cause"] == "process_crash"
    assert data["open_gaps"][0]["since"] == "2026-07-19T18:03:11Z"


@pytest.mark.django_db
def test_a_gap_that_somebody_accepted_or_that_is_over_is_no_alarm(hub: Hub) -> None:
    feed = Feed.objects.create(name="kalshi-sim", feed_type="websocket", venue="kalshi")
    accepted = {"resolved": True, "gap_number": 1}
    over = {"gap_end": BEGAN, "gap_number": 2}
    for difference in (accepted, over):
        DataGap.objects.create(
            feed=feed, date="2026-07-19", gap_start=BEGAN, gap_type="process_crash", **difference
        )
    hub.last_market_data_at = time.time()

    document = Client().get("/v1/health").json()

    assert (document["status"], document["components"]["data"]["status"]) == ("ok", "ok")
    assert document["components"]["data"]["capturing"] is True

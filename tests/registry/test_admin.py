"""Every list page of the registry and the security master opens, and asks no more for more rows."""

from datetime import date, time

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from registry.models import (
    ArchivePart,
    DataGap,
    DataInventory,
    DeploymentLog,
    Environment,
    EnvironmentVersion,
    Feed,
    FeedCalendar,
    FeedVersion,
    SchemaMigration,
    SchemaVersion,
)
from secmaster.models import (
    FollowerPosition,
    Market,
    MarketHistory,
    MarketLookup,
    MarketNotice,
    MarketSync,
)
from tests.registry.rows import DAY, START, issue, part, sealed, session

PAGES = [model for model in admin.site._registry if model._meta.app_label in ("registry", "secmaster")]
MADE_BY_PROCESSES = [
    "sealedday", "capturesession", "normalizedpart", "dataqualityissue", "deploymentlog", "followerposition",
    "marketnotice",
]  # fmt: skip


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


def rows(first: int, last: int) -> None:
    """A row of every table for each number, each with a feed and an environment of its own."""
    for number in range(first, last):
        feed = Feed.objects.create(name=f"feed-{number}", feed_type="websocket")
        version = environment(feed)
        registered(feed, number)
        recorded(feed, number)
        log = DeploymentLog.record(version, "teardown", trigger="scheduled", by="beat", on=DAY)
        with log as run, run.record_step("seal"):
            pass


def environment(feed: Feed) -> EnvironmentVersion:
    of_feed = Environment.objects.create(name=feed.name)
    return EnvironmentVersion.objects.create(environment=of_feed, version=1, feed=feed, config_hash="x")


def registered(feed: Feed, number: int) -> None:
    FeedVersion.objects.create(feed=feed, version="v1", effective_from=DAY, protocol="wss")
    calendar = FeedCalendar.objects.create(feed=feed, effective_from=DAY, timezone="America/New_York")
    calendar.maintenance_windows.create(weekday=3, start_time=time(3), end_time=time(5))
    one, two = (
        SchemaVersion.objects.create(
            name=f"trade{number}", version=version, format="capnp", effective_from=DAY
        )
        for version in ("v1", "v2")
    )
    migration = SchemaMigration.objects.create(from_version=one, to_version=two, migration_type="reprocess")
    with migration.run(feed, first_date=DAY, last_date=DAY, by="operator") as run:
        run.report = {"changed": number}


def recorded(feed: Feed, number: int) -> None:
    DataInventory.objects.create(feed=feed, data_type="raw", date=DAY, storage_path="x", status="partial")
    gap = {"date": DAY, "gap_start": START, "gap_number": number, "gap_type": "connection_lost"}
    DataGap.objects.create(feed=feed, session=f"s{number}", **gap)
    sizes = {"rows": 9, "raw_bytes": 90, "stored_bytes": 9, "first_ns": 1, "last_ns": 2}
    ArchivePart.objects.create(
        feed=feed, date=DAY, session=f"s{number}", first_n=1, last_n=9, key=f"r{number}", **sizes
    )
    session(feed, session=f"s{number}")
    sealed(feed, version=number + 1)
    part(feed, key=f"p{number}")
    issue(feed, sample_data={"trade_id": "x"}, n=5)
    market = Market.objects.create(feed=feed, ticker=f"T{number}", kalshi_id="x", title="x")
    MarketHistory.objects.create(market=market, field_name="status", old_value="open", new_value="closed")
    MarketSync.objects.create(feed=feed, begun_at=START, ended_at=START, seen=1)
    FollowerPosition.objects.create(feed=feed, stream="s", epoch=START, seq=1, read_at=START)
    MarketLookup.objects.create(feed=feed, event_ticker="E", tickers=["T"], due_at=START)
    MarketNotice.objects.create(feed=feed, change="created", ticker="T", body={})


def address(model: type[models.Model], page: str, *arguments: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=arguments)


@pytest.mark.slow
def test_a_list_of_more_rows_asks_no_more(operator: Client) -> None:
    def queries(model: type[models.Model]) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            answer = operator.get(address(model, "changelist"))
        assert answer.status_code == 200
        return len(asked)

    rows(0, 2)
    few = {model.__name__: queries(model) for model in PAGES}
    rows(2, 8)
    many = {model.__name__: queries(model) for model in PAGES}

    assert many == few


def test_every_row_opens_with_its_history(operator: Client) -> None:
    rows(0, 2)

    for model in PAGES:
        row = model._default_manager.order_by("pk").first()
        assert row is not None, model.__name__
        assert operator.get(address(model, "change", row.pk)).status_code == 200
        assert operator.get(address(model, "history", row.pk)).status_code == 200


def test_a_list_is_searched(operator: Client) -> None:
    rows(0, 2)

    for model in PAGES:
        assert operator.get(address(model, "changelist"), {"q": "feed-1"}).status_code == 200


@pytest.mark.parametrize("name", MADE_BY_PROCESSES)
def test_what_processes_write_cannot_be_changed_by_hand(operator: Client, name: str) -> None:
    rows(0, 1)
    [model] = [one for one in PAGES if one._meta.model_name == name]
    row = model._default_manager.latest("pk")

    assert operator.get(address(model, "add")).status_code == 403
    assert operator.post(address(model, "change", row.pk), {}).status_code == 403
    assert operator.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403


def test_every_table_of_the_registry_has_a_page() -> None:
    from django.apps import apps

    inline = {"maintenancewindow", "inventorysymbol"}
    tables = {
        model
        for label in ("registry", "secmaster")
        for model in apps.get_app_config(label).get_models()
        if not model.__name__.startswith("Historical") and model._meta.model_name not in inline
    }

    assert tables == set(PAGES)


def test_a_calendar_of_the_past_cannot_be_edited(operator: Client) -> None:
    feed = Feed.objects.create(name="kraken", feed_type="websocket")
    past = FeedCalendar.objects.create(
        feed=feed, effective_from=DAY, effective_to=date(2026, 1, 1), timezone="UTC"
    )

    assert operator.post(address(FeedCalendar, "change", past.pk), {"timezone": "UTC"}).status_code == 403


def test_the_log_shows_runs_and_their_steps_when_asked(operator: Client) -> None:
    rows(0, 1)

    def shown(query: dict[str, str]) -> list[str]:
        answer = operator.get(address(DeploymentLog, "changelist"), query)
        return [row.step for row in answer.context["cl"].result_list]

    assert [shown({}), shown({"row": "step"}), shown({"row": "all"})] == [[""], ["seal"], ["seal", ""]]

"""/v1/meta as a client sees it."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings

from registry.models import DataGap, DataInventory, Environment, Feed, FeedVersion, SchemaVersion
from registry.models.inventory import GAP_TYPES
from tests.registry.rows import issue, sealed

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]


@pytest.fixture
def feed() -> Feed:
    feed = Feed.objects.create(name="kalshi", feed_type="websocket", venue="kalshi")
    old = {"effective_from": date(2025, 1, 1), "effective_to": date(2025, 12, 1), "version": "v1"}
    new = {"effective_from": date(2025, 12, 1), "version": "v2"}
    for period in (old, new):
        endpoint = f"wss://{period['version']}.example/ws"
        FeedVersion.objects.create(feed=feed, protocol="wss", endpoint_template=endpoint, **period)
    return feed


@pytest.fixture
def inventory(feed: Feed) -> list[DataInventory]:
    return [
        DataInventory.objects.create(
            feed=feed, data_type="raw", date=date(2025, 12, day), status="partial", storage_path=f"{day}"
        )
        for day in (12, 13, 14)
    ]


@pytest.fixture
def gap(feed: Feed) -> DataGap:
    start = datetime(2025, 12, 14, 10, tzinfo=UTC)
    return DataGap.objects.create(
        feed=feed,
        date=start.date(),
        gap_start=start,
        gap_end=start + timedelta(hours=1),
        gap_type="connection_lost",
        session="kalshi-x",
        gap_number=7,
    )


def get(path: str, *, status: int = 200, **headers: str) -> Any:
    answer = Client().get(path, headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_feed_is_listed_with_the_version_in_force_today(feed: Feed) -> None:
    document = get("/v1/meta/feeds")

    [row] = document["results"]
    assert (row["name"], row["version"]["version"]) == ("kalshi", "v2")
    assert document["next"] is None
    assert document["as_of"].endswith("Z")


def test_as_of_asks_about_another_day(feed: Feed) -> None:
    document = get("/v1/meta/feeds/kalshi?as_of=2025-11-30")

    assert document["version"]["endpoint"] == "wss://v1.example/ws"
    assert [version["version"] for version in document["versions"]] == ["v1", "v2"]
    assert document["as_of"].startswith("2025-11-30")


def test_no_reference_to_a_secret_is_shown(feed: Feed) -> None:
    FeedVersion.objects.update(secret_ref="sealed-secret/kalshi-creds")

    assert "sealed" not in str(get("/v1/meta/feeds/kalshi"))


def test_an_unknown_feed_is_a_problem_that_says_which_was_meant(feed: Feed) -> None:
    for path in ("/v1/meta/feeds/kalsi", "/v1/meta/inventory?feed=kalsi", "/v1/meta/gaps/kalsi"):
        problem = get(path, status=404)
        assert (problem["status"], problem["did_you_mean"], problem["valid_values"]) == (
            404,
            "kalshi",
            ["kalshi"],
        )


def test_problems_have_their_own_content_type(feed: Feed) -> None:
    assert Client().get("/v1/meta/feeds/x")["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("query", "parameter", "meant"),
    [("form=2025-12-01", "form", "from"), ("status=complet", "status", "complete")],
)
def test_a_filter_that_does_not_exist_is_refused(feed: Feed, query: str, parameter: str, meant: str) -> None:
    problem = get(f"/v1/meta/inventory?{query}", status=400)

    assert (problem["parameter"], problem["did_you_mean"]) == (parameter, meant)


@pytest.mark.parametrize(
    "query", ["from=yesterday", "as_of=2025-13-01", "as_of=x", "as_of=2025-12-14T00:00:00", "to=0000-00-00"]
)
def test_a_time_that_is_none_is_refused(feed: Feed, query: str) -> None:
    assert "example" in get(f"/v1/meta/inventory?{query}", status=400)


def test_inventory_is_filtered_by_days(inventory: list[DataInventory]) -> None:
    document = get("/v1/meta/inventory?feed=kalshi&from=2025-12-13&to=2025-12-13&status=partial")

    assert [row["date"] for row in document["results"]] == ["2025-12-13"]


def test_inventory_as_of_a_day_holds_nothing_later(inventory: list[DataInventory]) -> None:
    document = get("/v1/meta/inventory?as_of=2025-12-13")

    assert [row["date"] for row in document["results"]] == ["2025-12-13", "2025-12-12"]


def test_pages_follow_each_other_by_cursor(inventory: list[DataInventory]) -> None:
    first = get("/v1/meta/inventory?limit=2")
    second = get(first["next"].removeprefix("http://testserver"))

    days = [row["date"] for row in first["results"] + second["results"]]
    assert (days, second["next"]) == (["2025-12-14", "2025-12-13", "2025-12-12"], None)


def test_a_day_is_shown_with_its_gaps(inventory: list[DataInventory], gap: DataGap) -> None:
    document = get("/v1/meta/inventory/kalshi/2025-12-14")

    assert (len(document["inventory"]), document["gaps"][0]["gap_number"]) == (1, 7)


def test_a_day_without_inventory_names_days_that_have_some(inventory: list[DataInventory]) -> None:
    problem = get("/v1/meta/inventory/kalshi/2025-11-14", status=404)

    assert "2025-12-14" in problem["valid_values"]


def test_a_gap_was_open_while_it_lasted(gap: DataGap) -> None:
    during = get("/v1/meta/gaps/kalshi?as_of=2025-12-14T10:30:00Z")["results"]
    afterwards = get("/v1/meta/gaps/kalshi?open=true")["results"]

    assert (during[0]["gap_end"], afterwards) == (None, [])


def test_a_schema_version_is_shown_with_its_text() -> None:
    SchemaVersion.objects.create(
        name="trade", version="v1", format="capnp", schema_definition="@0x1;", effective_from=date(2025, 1, 1)
    )

    assert "schema_definition" not in get("/v1/meta/schemas?name=trade")["results"][0]
    assert get("/v1/meta/schemas/trade/v1")["schema_definition"] == "@0x1;"
    assert get("/v1/meta/schemas/trade/v9", status=404)["valid_values"] == ["trade/v1"]


def test_environments_are_listed_without_their_configuration() -> None:
    Environment.objects.create(name="demo")

    [row] = get("/v1/meta/environments")["results"]

    assert (row["name"], row["applied"], "config_yaml" in row) == ("demo", None, False)


def test_nothing_can_be_changed(feed: Feed) -> None:
    assert Client().post("/v1/meta/feeds", {}).status_code in (403, 405)


def test_a_path_that_does_not_exist_is_a_problem_too() -> None:
    assert "/v1/health" in get("/v1/nope", status=404)["valid_values"]


@pytest.mark.parametrize("remote", ["203.0.113.9", "127.0.0.1"])
def test_an_installation_meant_for_others_wants_a_signed_in_operator(
    feed: Feed, remote: str, admin_client: Client
) -> None:
    with override_settings(ALLOWED_HOSTS=["ssmd.example", "testserver"]):
        assert Client(REMOTE_ADDR=remote).get("/v1/meta/feeds").status_code == 403
        assert admin_client.get("/v1/meta/feeds").status_code == 200


def test_who_comes_through_a_proxy_is_not_on_this_machine(feed: Feed) -> None:
    problem = get("/v1/meta/feeds", status=403, X_Forwarded_For="203.0.113.9")

    assert "Sign in" in problem["detail"]


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "501", "", "²", "9" * 5000])
def test_a_limit_that_is_none_is_refused(inventory: list[DataInventory], limit: str) -> None:
    assert get(f"/v1/meta/inventory?limit={limit}", status=400)["parameter"] == "limit"


@pytest.mark.parametrize("cursor", ["zzz", "cD1hYmM=", "cD0yMDI1LTEzLTAx"])
def test_a_cursor_that_was_not_given_is_refused(inventory: list[DataInventory], cursor: str) -> None:
    assert get(f"/v1/meta/inventory?cursor={cursor}", status=400)["parameter"] == "cursor"


@pytest.mark.parametrize("path", ["inventory", "gaps/kalshi"])
def test_days_in_the_wrong_order_are_refused(feed: Feed, path: str) -> None:
    assert get(f"/v1/meta/{path}?from=2025-12-14&to=2025-12-13", status=400)["parameter"] == "from"


def test_one_day_is_asked_for_by_its_date(inventory: list[DataInventory], gap: DataGap) -> None:
    found = [
        len(get(f"/v1/meta/{path}?date={day}")["results"])
        for path in ("inventory", "gaps/kalshi")
        for day in ("2025-12-14", "2025-11-14")
    ]

    assert found == [1, 0, 1, 0]


def test_a_type_of_gap_that_does_not_exist_is_refused(gap: DataGap) -> None:
    assert len(get("/v1/meta/gaps/kalshi?type=connection_lost")["results"]) == 1
    assert get("/v1/meta/gaps/kalshi?type=sequence_gap")["results"] == []
    problem = get("/v1/meta/gaps/kalshi?type=conection_lost", status=400)
    assert problem["did_you_mean"] == "connection_lost"


def test_every_type_of_gap_that_is_documented_is_known() -> None:
    documented = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "gaps.md").read_text(), re.MULTILINE)

    assert documented
    assert set(documented) <= set(GAP_TYPES)


def test_before_anything_was_in_force_is_a_problem_that_says_from_when(feed: Feed) -> None:
    problem = get("/v1/meta/feeds/kalshi?as_of=2020-01-01", status=404)

    assert "no version in force on 2020-01-01" in problem["detail"]
    assert "from 2025-01-01" in problem["reasons"][0]["remedy"]


def test_a_day_is_shown_with_what_is_wrong_with_it_and_how_it_was_sealed(
    inventory: list[DataInventory], feed: Feed
) -> None:
    seen = datetime(2025, 12, 15, 2, tzinfo=UTC)
    issue(feed, detected_at=seen, sample_data={"trade_id": "x"}, n=5)
    sealed(feed, committed_at=seen, verified_at=seen + timedelta(hours=1), verify_result="ok")

    def day(query: str = "") -> tuple[list[str], list[tuple[int, str | None]]]:
        document = get(f"/v1/meta/inventory/kalshi/2025-12-14{query}")
        issues = [row["issue_type"] for row in document["issues"]]
        return issues, [(row["version"], row["verify_result"]) for row in document["sealed"]]

    assert day() == (["duplicate"], [(1, "ok")])
    assert day("?as_of=2025-12-15T02:30:00Z") == (["duplicate"], [(1, None)])
    assert day("?as_of=2025-12-15T01:00:00Z") == ([], [])


def test_a_schema_is_shown_with_all_its_versions() -> None:
    for version, year in (("v1", 2025), ("v2", 2026)):
        SchemaVersion.objects.create(
            name="trade",
            version=version,
            format="capnp",
            schema_definition=version,
            effective_from=date(year, 1, 1),
        )

    def versions(query: str = "") -> list[str]:
        return [row["version"] for row in get(f"/v1/meta/schemas/trade{query}")["versions"]]

    assert (versions(), versions("?as_of=2025-06-01")) == (["v1", "v2"], ["v1"])
    assert get("/v1/meta/schemas/trad", status=404)["did_you_mean"] == "trade"


def test_an_environment_is_shown_with_its_versions() -> None:
    Environment.objects.create(name="demo")

    document = get("/v1/meta/environments/demo")

    assert (document["name"], document["versions"], document["applied"]) == ("demo", [], None)
    assert get("/v1/meta/environments/dmo", status=404)["did_you_mean"] == "demo"

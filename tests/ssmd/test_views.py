"""The first page, health and metrics of a process that streams nothing."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_the_first_page_says_how_to_start_a_stream() -> None:
    answer = Client().get("/")

    assert answer.status_code == 200
    assert b"ssmd gateway start --env NAME" in answer.content


def test_the_first_page_of_an_installation_meant_for_others_asks_to_sign_in() -> None:
    answer = Client(REMOTE_ADDR="203.0.113.9").get("/")

    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/")


def test_health_names_each_component_and_where_to_look_next() -> None:
    document = Client().get("/v1/health").json()

    assert document["status"] == "ok"
    assert document["components"]["database"]["status"] == "ok"
    assert document["components"]["nats"]["status"] == "off"
    assert document["links"]["admin"] == "/admin/"


def test_anyone_may_ask_whether_the_process_lives() -> None:
    assert Client(REMOTE_ADDR="203.0.113.9").get("/v1/health/live").json() == {"status": "ok"}


def test_metrics_are_for_those_who_may_read() -> None:
    assert Client().get("/metrics").status_code == 200
    assert Client(REMOTE_ADDR="203.0.113.9").get("/metrics").status_code == 403


@pytest.mark.parametrize("path", ["/v1", "/v1/"])
def test_the_index_of_the_api_leads_everywhere(path: str) -> None:
    document = Client().get(path).json()

    assert document["links"]["health"] == "/v1/health"
    assert "/v1/markets/{ticker}/trades" in document["paths"]
    for name in document["links"].keys() - {"stream", "markets"}:  # a WebSocket; of which feed?
        assert Client().get(document["links"][name]).status_code in (200, 302), name


def test_a_path_that_does_not_exist_is_told_all_that_do() -> None:
    answer = Client().get("/v1/meta/feedz")

    assert answer.status_code == 404
    assert answer.json()["did_you_mean"] == "/v1/meta/feeds"
    assert {"/v1/meta/gaps/{feed}", "/v1/stream"} <= set(answer.json()["valid_values"])


def test_browsers_find_the_icon_where_they_look_for_it() -> None:
    assert Client().get("/favicon.ico")["Location"] == "/static/ssmd/icon.svg"


def test_trades_need_a_stream() -> None:
    answer = Client().get("/v1/markets/A/trades")

    assert (answer.status_code, "ssmd gateway start" in answer.json()["detail"]) == (503, True)

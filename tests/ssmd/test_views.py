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

"""What the server's process adds to Django's."""

import pytest
from django.test import Client

import ssmd.asgi as asgi


@pytest.mark.django_db
def test_neither_a_clients_mistake_nor_something_that_is_away_is_logged_as_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert asgi.application  # its import sets the logging up

    answers = [Client().get(path).status_code for path in ("/v1/nope", "/v1/markets/A/trades")]

    assert answers == [404, 503]
    assert {record.levelname for record in caplog.records if record.name == "django.request"} <= {"INFO"}

from pathlib import Path
from uuid import uuid4

import pytest
from nats.errors import AuthorizationError, NoServersError
from nats.errors import Error as NatsError
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from registry.refusal import ExitCode, Reason, Refused
from streaming.refusals import NOTE, Refusals, reason_of_answer, reason_of_error

NO_SPACE = {"code": 503, "err_code": 10077, "description": "maximum bytes exceeded"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NO_SPACE, "full"),
        ({"err_code": 10023}, "full"),
        ({"err_code": 10071}, "other"),
        ({}, "other"),
        (None, "no_stream"),
    ],
)
def test_a_negative_answer_has_a_kind(answer: dict[str, object] | None, reason: str) -> None:
    assert reason_of_answer(answer) == reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Refused([Reason("stream x: discard is new")]), "drift"),
        (Refused([Reason("nats-server 2.9.10 is too old")], exit_code=ExitCode.UNAVAILABLE), "old_server"),
        (AuthorizationError(), "authorization"),
        (NatsError("nats: 'Authorization Violation'"), "authorization"),
        (NatsError('nats: permissions violation for publish to "x.trade.a"'), "permission"),
        (NoServersError(), ""),
        (OSError(111, "Connection refused"), ""),
    ],
)
def test_an_error_has_a_kind_unless_the_bus_is_only_away(error: Exception, reason: str) -> None:
    assert reason_of_error(error) == reason


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_a_refusal_is_counted_each_time_said_once_and_shown_until_it_is_over() -> None:
    feed = f"feed-{uuid4().hex[:6]}"
    refusals = Refusals(feed)

    with capture_logs() as said:
        for _ in range(100):
            refusals.note("full", "maximum bytes exceeded")

    assert value("ssmd_connector_bus_refusals_total", feed=feed, reason="full") == 100
    assert [line["event"] for line in said] == ["the bus refuses: maximum bytes exceeded"]
    assert value("ssmd_connector_bus_refuses", feed=feed) == 1
    refusals.over()
    assert value("ssmd_connector_bus_refuses", feed=feed) == 0


def test_what_lasts_is_noted_for_the_doctor_until_it_is_over(tmp_path: Path) -> None:
    note = tmp_path / NOTE
    refusals = Refusals(f"feed-{uuid4().hex[:6]}", note)

    refusals.away()
    assert note.read_text().endswith(" the bus is not reached\n")
    refusals.note("full", "maximum bytes exceeded")
    refusals.away()
    assert note.read_text().endswith(" the bus refuses: maximum bytes exceeded\n")
    refusals.over()

    assert not note.exists()

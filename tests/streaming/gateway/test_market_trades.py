"""/v1/markets/{ticker}/trades of a running gateway."""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.running import Gateway, NatsServer, Publisher
from tests.streaming.conftest import trade

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]
BEFORE = "from=2023-01-01T00:00:00Z"  # the makers' receive times are of November 2023


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    bus = NatsServer(tmp_path_factory.mktemp("nats"))
    bus.start()
    asyncio.run(_publish(bus))
    gateway = Gateway(tmp_path_factory.mktemp("home"), bus.url)
    gateway.start()
    yield gateway
    gateway.stop()
    bus.stop()


async def _publish(bus: NatsServer) -> None:
    publisher = await Publisher.open(bus.url, feed="kalshi-sim", stream="ssmd-kalshi-sim")
    await publisher.publish(*(trade("INXD-25.5", n, price_e4=4501) for n in range(1, 151)))
    await publisher.close()


def get(gateway: Gateway, path: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(f"http://{gateway.address}{path}") as answer:
            return answer.status, json.loads(answer.read(), parse_float=Decimal)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_newest_trades_come_first_with_exact_numbers(gateway: Gateway) -> None:
    status, document = get(gateway, f"/v1/markets/INXD-25.5/trades?limit=2&{BEFORE}")

    assert (status, document["next"], document["as_of"][-1]) == (200, None, "Z")
    assert [trade["trade_id"] for trade in document["results"]] == ["t150", "t149"]
    first = document["results"][0]
    assert (first["ticker"], first["price"], first["size"]) == (
        "INXD-25.5",
        Decimal("0.4501"),
        Decimal("13.5"),
    )


def test_a_hundred_trades_of_the_last_hour_are_the_default(gateway: Gateway) -> None:
    assert len(get(gateway, f"/v1/markets/INXD-25.5/trades?{BEFORE}")[1]["results"]) == 100
    assert get(gateway, "/v1/markets/INXD-25.5/trades")[1]["results"] == []


def test_a_market_that_does_not_exist_is_a_404(gateway: Gateway) -> None:
    status, document = get(gateway, "/v1/markets/NOPE/trades")

    assert (status, document["listed_at"]) == (404, "/v1/markets?feed=kalshi-sim")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("from=yesterday", "from"), ("form=x", "form")],
)
def test_a_wrong_parameter_is_named(gateway: Gateway, query: str, parameter: str) -> None:
    status, document = get(gateway, f"/v1/markets/INXD-25.5/trades?{query}")

    assert (status, document["parameter"]) == (400, parameter)


def test_a_clients_mistakes_are_not_warnings_in_the_log(gateway: Gateway) -> None:
    get(gateway, "/v1/nope")

    lines = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] == "warning"] == []
    assert any("/v1/nope" in line["msg"] for line in lines)

"""The whole gateway process, as a client sees it."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.running import Gateway, NatsServer, Publisher

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("gateway")]


@pytest.fixture(scope="module")
def bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(bus: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    asyncio.run(_declare(bus))
    gateway = Gateway(tmp_path_factory.mktemp("home with space"), bus.url)
    gateway.start()
    yield gateway
    gateway.stop()


async def _declare(bus: NatsServer) -> None:
    await (await Publisher.open(bus.url, feed="kalshi-sim", stream="ssmd-kalshi-sim")).close()


@pytest.fixture
async def publisher(bus: NatsServer) -> AsyncIterator[Publisher]:
    publisher = await Publisher.open(bus.url, feed="kalshi-sim", stream="ssmd-kalshi-sim")
    yield publisher
    await publisher.close()


def stream(gateway: Gateway, query: str = "", **headers: str) -> connect:
    url = f"ws://{gateway.address}/v1/stream{query}"
    return connect(url, compression=None, proxy=None, additional_headers=headers)


async def receive(client: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(client.recv(), 10))


async def ask(client: ClientConnection, **request: Any) -> Any:
    await client.send(json.dumps(request))
    return await receive(client)


async def seen(gateway: Gateway, publisher: Publisher, make: Any, ticker: str, n: int) -> None:
    """Make a market known: the stream brought something of it."""
    async with stream(gateway, "?symbols=*") as client:
        await receive(client)
        await publisher.publish(make.trade(ticker, n))
        await receive(client)


async def test_the_urls_symbols_are_subscribed_and_trades_come_in_the_designs_shape(
    gateway: Gateway, publisher: Publisher, make: Any
) -> None:
    async with stream(gateway, "?symbols=*") as client:
        ack = await receive(client)
        await publisher.publish(make.trade("INXD-25-B4000", 1))
        trade = await receive(client)

    assert (ack["type"], ack["symbols"], ack["channels"]) == ("subscribed", ["*"], ["trade"])
    assert (ack["feed"], ack["simulated"], ack["state"]) == ("kalshi-sim", True, "live")
    shape = {key: trade[key] for key in ("type", "ticker", "price", "size", "side", "ts")}
    assert shape == {
        "type": "trade",
        "ticker": "INXD-25-B4000",
        "price": 0.45,
        "size": 13.5,
        "side": "buy",
        "ts": 1702540800000,
    }


async def test_a_subscription_is_acknowledged_then_the_book_then_its_changes(
    gateway: Gateway, publisher: Publisher, make: Any
) -> None:
    await seen(gateway, publisher, make, "BOOK", 100)
    await publisher.publish(make.snapshot("BOOK", 101, bids={4400: 10_000}, asks={4600: 15_000}))
    await publisher.publish(
        make.snapshot("BOOK", 101, bids={4400: 10_000}, asks={4600: 15_000}, checkpoint=True)
    )

    async with stream(gateway) as client:
        ack = await ask(client, action="subscribe", symbols=["BOOK"], id=5)
        first = await receive(client)
        await publisher.publish(make.delta("BOOK", 102, 4300, 50))
        second = await receive(client)

    assert (ack["type"], ack["symbols"], ack["id"]) == ("subscribed", ["BOOK"], 5)
    assert (first["type"], first["bids"], first["asks"]) == ("orderbook", [[0.44, 100]], [[0.46, 150]])
    assert second["bids"] == [[0.44, 100], [0.43, 0.5]]


async def test_unknown_symbols_are_refused_one_by_one_the_others_subscribed(
    gateway: Gateway, publisher: Publisher, make: Any
) -> None:
    await seen(gateway, publisher, make, "KNOWN", 200)

    async with stream(gateway) as client:
        ack = await ask(client, action="subscribe", symbols=["NOPE", "KNOWN"], channels=["trade"], id="a")
        error = await receive(client)

    assert ack["symbols"] == ["KNOWN"]
    assert (error["type"], error["code"], error["error"]) == ("error", 4404, "unknown_symbol")
    assert (error["symbol"], error["id"]) == ("NOPE", "a")
    assert "/v1/markets?feed=kalshi-sim" in error["message"]


async def test_bad_requests_are_answered_and_the_connection_stays(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.send("{")
        not_json = await receive(client)
        await client.send(b"\x00")
        binary = await receive(client)
        not_there = await ask(client, action="unsubscribe", symbols=["X"])
        ack = await ask(client, action="subscribe", symbols=["*"])

    assert [not_json["code"], binary["code"], not_there["code"]] == [4400, 4400, 4416]
    assert ack["type"] == "subscribed"


async def test_strange_requests_never_close_the_connection(gateway: Gateway) -> None:
    strange = [
        '{"action":"subscribe","symbols":["\\ud800"]}',
        '{"action":"subscribe","symbols":["A\\u0000"]}',
        '{"action":"subscribe","symbols":["A"],"id":"\\ud800"}',
        '{"\\ud800":1}',
        '{"action":' + "[" * 900 + "]" * 900 + ',"symbols":["A"]}',
        '{"action":"subscribe","symbols":["' + "\U0001f600" * 200 + '"]}',
        "9" * 5000,
    ]
    async with stream(gateway) as client:
        answers = []
        for text in strange:
            await client.send(text)
            answers.append(await receive(client))
        ack = await ask(client, action="subscribe", symbols=["*"])

    assert {answer["type"] for answer in answers} == {"error"}
    assert answers[0]["symbol"] == "\ud800"
    assert ack["type"] == "subscribed"
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("query", ["?replay=2025-12-14", "?symbols=*&foo=1", "?symbols=", "?%ff"])
async def test_an_unknown_key_in_the_url_is_answered_and_the_connection_stays(
    gateway: Gateway, query: str
) -> None:
    async with stream(gateway, query) as client:
        error = await receive(client)
        ack = await ask(client, action="subscribe", symbols=["*"])

    assert (error["type"], "Known: symbols, channels" in error["message"]) == ("error", True)
    assert ack["type"] == "subscribed"


async def test_after_unsubscribing_nothing_more_comes(
    gateway: Gateway, publisher: Publisher, make: Any
) -> None:
    async with stream(gateway, "?symbols=*") as client:
        await receive(client)
        ack = await ask(client, action="unsubscribe", symbols=["*"])
        await publisher.publish(make.trade("A", 300))
        error = await ask(client, action="what", symbols=["*"])

    assert (ack["type"], error["code"]) == ("unsubscribed", 4410)


async def test_a_frame_beyond_64_kib_closes_with_1009(gateway: Gateway) -> None:
    async with stream(gateway) as client:
        await client.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
async def test_pages_of_other_sites_are_refused_before_they_connect(gateway: Gateway, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with stream(gateway, Origin=origin):
            pass

    assert refused.value.response.status_code == 403


async def test_the_gateways_own_page_may_connect(gateway: Gateway) -> None:
    async with stream(gateway, "?symbols=*", Origin=f"http://{gateway.address}") as client:
        assert (await receive(client))["type"] == "subscribed"


async def test_who_came_through_a_proxy_must_sign_in(gateway: Gateway) -> None:
    async with stream(gateway, **{"X-Forwarded-For": "203.0.113.9"}) as client:
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_a_path_that_is_no_stream_is_refused(gateway: Gateway) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(f"ws://{gateway.address}/v1/strea", proxy=None):
            pass

    assert refused.value.response.status_code == 404
    assert b"/v1/stream" in refused.value.response.body


async def test_a_client_that_does_not_read_is_closed_and_told_what_it_missed(
    gateway: Gateway, publisher: Publisher, make: Any
) -> None:
    url = f"ws://{gateway.address}/v1/stream?symbols=*"
    async with connect(url, compression=None, proxy=None, max_queue=1, ping_interval=None) as client:
        client.transport.pause_reading()
        for n in range(1000, 33_000, 500):
            await asyncio.gather(*(publisher.publish(make.trade("FLOOD", n + i)) for i in range(500)))
        client.transport.resume_reading()
        last: Any = None
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                last = await receive(client)

    assert closed.value.rcvd is not None
    assert (last["type"], last["code"], closed.value.rcvd.code) == ("closing", 4008, 4008)
    assert last["unsent"]["trade"] > 0


def test_the_metrics_count_what_was_sent(gateway: Gateway) -> None:
    with urllib.request.urlopen(f"http://{gateway.address}/metrics") as answer:
        text = answer.read().decode()

    assert 'ssmd_gateway_messages_sent_total{type="trade"}' in text
    assert 'ssmd_gateway_subscriptions_active{symbol="other"}' in text


async def test_when_the_gateway_ends_clients_are_told_to_come_back(
    bus: NatsServer, publisher: Publisher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gateway = Gateway(tmp_path_factory.mktemp("home"), bus.url)
    gateway.start()
    async with stream(gateway, "?symbols=*") as client:
        await receive(client)
        gateway.signal()
        with pytest.raises(ConnectionClosed) as closed:
            await receive(client)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert gateway.stop() in (0, -15)
    assert "Traceback" not in gateway.log

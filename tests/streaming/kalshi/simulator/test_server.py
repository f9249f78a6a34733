"""The process: sockets, the ledger beside them, and how it ends."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from streaming.kalshi.signing import signed_headers
from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.server import Service
from tests.streaming.kalshi.simulator.conftest import MARKET, SMALL, Serving, delta, snapshot, write

HEADERS = {"KALSHI-ACCESS-KEY": "k", "KALSHI-ACCESS-TIMESTAMP": "1", "KALSHI-ACCESS-SIGNATURE": "s"}


def dial(service: Service, headers: dict[str, str] | None = None, **options: Any) -> connect:
    """A client that always reads on; a paused one could not see the answer to its own close."""
    url = f"ws://127.0.0.1:{service.port}/trade-api/ws/v2"
    unlimited: dict[str, Any] = {"max_queue": None, "compression": None}
    return connect(url, additional_headers=HEADERS if headers is None else headers, **(unlimited | options))


async def subscribe(client: ClientConnection, *channels: str, tickers: tuple[str, ...] = ()) -> None:
    params: dict[str, Any] = {"channels": channels}
    if tickers:
        params["market_tickers"] = tickers
    await client.send(json.dumps({"id": 1, "cmd": "subscribe", "params": params}))


def ledger_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_the_ledger_is_exactly_what_the_client_received(
    serving: Serving, small: Path, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    received: list[str] = []
    async with serving(replay=(small,), ledger=ledger) as service, dial(service) as client:
        await subscribe(client, "orderbook_delta", "trade", tickers=(MARKET,))
        while len(received) < 2 + len(SMALL):
            received.append(str(await client.recv()))

    lines = ledger_of(ledger)
    assert [line["frame"] for line in lines] == received
    assert {line["conn"] for line in lines} == {1}
    assert all(text.endswith("}\n") for text in received)


async def test_connection_numbers_never_repeat_over_restarts(serving: Serving, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    for _ in range(2):
        async with serving(ledger=ledger) as service:
            for _ in range(2):
                async with dial(service) as client:
                    await subscribe(client, "fill")
                    await client.recv()

    assert [line["conn"] for line in ledger_of(ledger)] == [1, 2, 3, 4]


async def test_a_replay_that_runs_once_closes_its_clients_gracefully_and_ends(
    serving: Serving, small: Path
) -> None:
    async with serving(replay=(small,), once=True) as service, dial(service) as client:
        await subscribe(client, "orderbook_delta", "trade", tickers=(MARKET,))
        types = Counter(json.loads(text)["type"] for text in [frame async for frame in client])

        assert types["orderbook_delta"] + types["orderbook_snapshot"] + types["trade"] == len(SMALL)
        assert client.close_code == 1000


async def test_a_stopped_exchange_closes_its_clients_with_going_away(serving: Serving) -> None:
    async with serving() as service:
        client = await dial(service)

    with pytest.raises(ConnectionClosedOK):
        await client.recv()
    assert client.close_code == 1001


async def test_a_fast_replay_waits_for_its_reader_to_come_back(serving: Serving, tmp_path: Path) -> None:
    changes = [delta(at, "0.3000", "1.00", "yes") for at in range(1, 60_000)]
    path = write(tmp_path / "long.jsonl", [snapshot(0), *changes])
    async with serving(replay=(path,)) as service:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(("127.0.0.1", service.port))
        first = await dial(service, sock=narrow, max_queue=16)
        await subscribe(first, "orderbook_delta", tickers=(MARKET,))
        await first.recv()
        first.transport.abort()
        async with dial(service) as client:
            await subscribe(client, "orderbook_delta", tickers=(MARKET,))
            _, again, change = [json.loads(await client.recv()) for _ in range(3)]

    so_far = int(again["msg"]["yes_dollars_fp"][0][1].partition(".")[0])
    assert so_far < 59_999
    assert (again["seq"], change["seq"]) == (1, 2)


async def test_random_markets_trade_and_their_books_are_heard(serving: Serving) -> None:
    async with serving(rate=2000.0) as service:
        base = f"http://127.0.0.1:{service.port}/trade-api/v2"
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"{base}/markets?status=open")).json()["markets"]
        tickers = tuple(market["ticker"] for market in found)
        async with dial(service) as client:
            await subscribe(client, "ticker", "trade", "orderbook_delta", tickers=tickers)
            types: Counter[str] = Counter()
            while len(types) < 5 or types.total() < 400:
                types[json.loads(await client.recv())["type"]] += 1

    assert len(tickers) >= 5
    assert types["orderbook_snapshot"] == len(tickers)
    assert set(types) >= {"subscribed", "orderbook_delta", "trade", "ticker"}


async def test_who_is_not_signed_gets_401_and_the_recorded_body(serving: Serving) -> None:
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    stale = signed_headers("key-1", private, "GET", "/trade-api/ws/v2", 1)
    async with serving(door=Door({"key-1": public})) as service:
        answers = []
        for headers in ({}, stale):
            with pytest.raises(InvalidStatus) as refused:
                await dial(service, headers)
            answers.append((refused.value.response.status_code, json.loads(refused.value.response.body)))

    assert [status for status, _ in answers] == [401, 401]
    assert [body["error"]["code"] for _, body in answers] == [
        "signature_is_missing_from_headers",
        "header_timestamp_expired",
    ]


async def test_rest_is_open_for_market_data_and_closed_for_the_account(serving: Serving) -> None:
    async with serving() as service, httpx.AsyncClient() as http:
        base = f"http://127.0.0.1:{service.port}/trade-api/v2"
        market_data = await http.get(f"{base}/markets?limit=1")
        account = await http.get(f"{base}/portfolio/balance")
        signed = await http.get(f"{base}/portfolio/balance", headers=HEADERS)
        missing = await http.get(f"{base}/markets/NOPE")

    assert [each.status_code for each in (market_data, account, signed, missing)] == [200, 401, 200, 404]
    assert market_data.headers["Content-Type"] == "application/json"
    assert "Date" in account.headers


async def test_the_exchange_pings_with_heartbeat_and_drops_the_silent(serving: Serving) -> None:
    async with serving(heartbeat_s=0.01, pong_within_s=0.1) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        writer.write(
            b"GET /trade-api/ws/v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            + lines.encode() + b"\r\n"
        )  # fmt: skip
        head = await reader.readuntil(b"\r\n\r\n")
        ping = await reader.readexactly(11)
        with pytest.raises(ConnectionError):
            while await reader.read(1000):
                pass
            raise ConnectionError  # a plain end is as good as a reset
        writer.close()

    assert b"101" in head.split(b"\r\n")[0]
    assert ping == b"\x89\x09heartbeat"


# --- the command --------------------------------------------------------------------------


def ssmd(*words: str) -> subprocess.Popen[str]:
    code = "from ssmd.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "exchange", "start", *words], text=True, stderr=subprocess.PIPE
    )


def test_a_signal_ends_it_with_success() -> None:
    with ssmd("--port", "0") as process:
        assert process.stderr is not None
        greeting = process.stderr.readline()
        process.send_signal(signal.SIGTERM)

        assert process.wait() == 0
    assert "listening on http://127.0.0.1:" in greeting


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with ssmd("--port", port) as process:
            _, told = process.communicate()

    assert process.returncode == 5
    assert port in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--replay", "missing.jsonl"), 3),
        (("--ledger", "no-such-folder/ledger.jsonl"), 9),
        (("--key-id", "key-1"), 3),
        (("--key-id", "key-1", "--public-key", "missing.pem"), 3),
        (("--once",), 3),
        (("--tls-key", "missing.pem"), 3),
        (("--speed", "-1"), 3),
    ],
)
def test_wrong_options_are_refused_in_words(words: tuple[str, ...], code: int) -> None:
    with ssmd("--port", "0", *words) as process:
        _, told = process.communicate()

    assert process.returncode == code
    assert "Traceback" not in told

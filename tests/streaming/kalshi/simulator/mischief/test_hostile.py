"""Faults at work on real sockets: what a client sees, and what the ledger has."""

import asyncio
import json
import ssl
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from registry.refusal import Refused
from streaming.kalshi.signing import signed_headers
from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.server import Service
from tests.streaming.kalshi.simulator.conftest import Serving
from tests.streaming.kalshi.simulator.test_server import HEADERS, dial, ledger_of, subscribe


async def read_until(client: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = json.loads(await client.recv())
        if told["type"] == kind:
            return told


async def read_on(client: ClientConnection, seconds: float) -> list[str | bytes]:
    """Everything that comes within so long."""
    frames: list[str | bytes] = []
    with suppress(TimeoutError, ConnectionClosed):
        async with asyncio.timeout(seconds):
            while True:
                frames.append(await client.recv())
    return frames


def kinds(frames: list[str | bytes]) -> set[str]:
    return {json.loads(frame)["type"] for frame in frames}


def base(service: Service) -> str:
    return f"http://127.0.0.1:{service.port}/trade-api/v2"


# --- a connection as a whole ------------------------------------------------------------------


async def test_a_half_open_connection_says_nothing_and_counts_as_sent(
    serving: Serving, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    async with serving(ledger=ledger, heartbeat_s=0.05) as service, dial(service) as client:
        await subscribe(client, "trade")
        await read_until(client, "trade")
        service.fault(do="half_open")
        before = await read_on(client, 0.1)
        pong = await client.ping()
        rest = await read_on(client, 0.4)
        is_answered = asyncio.ensure_future(pong).done()
        client.transport.abort()

    assert rest == [] and not is_answered
    assert len(ledger_of(ledger)) > len(before) + 10


async def test_silence_leaves_pings_and_answers(serving: Serving) -> None:
    async with serving(heartbeat_s=0.05) as service, dial(service) as client:
        await subscribe(client, "trade", "ticker")
        await read_until(client, "trade")
        service.fault(do="silence", channel="trade")
        await read_on(client, 0.1)
        await client.send(json.dumps({"id": 9, "cmd": "list_subscriptions"}))
        frames = await read_on(client, 0.5)
        pong = await client.ping()
        await pong

    assert kinds(frames) == {"ok", "ticker"}


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 3000, 4999])
async def test_it_closes_with_any_code(serving: Serving, code: int) -> None:
    async with serving() as service, dial(service) as client:
        service.fault(do="close", code=code, reason="as ordered")
        with pytest.raises(ConnectionClosed):
            await client.recv()

    assert (client.close_code, client.close_reason) == (code, "as ordered")


@pytest.mark.parametrize("code", [0, 1006])
async def test_it_closes_without_a_code_or_without_a_word(serving: Serving, code: int) -> None:
    async with serving() as service, dial(service) as client:
        service.fault(do="close", code=code)
        with pytest.raises(ConnectionClosed):
            await client.recv()

    assert client.close_code == (1006 if code else 1005)


async def test_a_code_that_must_not_be_sent_is_sent_all_the_same(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        service.fault(do="close", code=1015)
        with pytest.raises(ConnectionClosed):
            await client.recv()

    assert client.close_code == 1006
    assert client.protocol.close_sent is not None
    assert client.protocol.close_sent.code == 1002


async def test_every_new_connection_is_closed_after_a_while(serving: Serving) -> None:
    async with serving() as service:
        service.fault(do="close", code=1001, open_for=0.1, count=2)
        lived = []
        for _ in range(2):
            async with dial(service) as client:
                began = time.monotonic()
                await client.wait_closed()
                lived.append(time.monotonic() - began)
        async with dial(service) as client:
            await subscribe(client, "trade")
            await read_until(client, "trade")

    assert all(0.08 <= seconds < 1 for seconds in lived)


async def test_a_frame_is_cut_and_the_connection_reset_behind_what_was_sent(
    serving: Serving, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    received = []
    async with serving(ledger=ledger) as service, dial(service) as client:
        await subscribe(client, "trade")
        await read_until(client, "trade")
        service.fault(do="cut_frame", bytes=12)
        with pytest.raises(ConnectionClosed):
            while True:
                received.append(await client.recv())

    assert client.close_code == 1006
    lines = [line["frame"] for line in ledger_of(ledger)]
    after = lines[lines.index(received[-1]) + 1 :] if received else lines
    assert after, "the cut frame, and those behind it, count as sent"


async def test_bytes_drip(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        service.fault(do="drip", bytes_per_second=200)
        await subscribe(client, "trade")
        frames = await read_on(client, 1.0)

    assert len(frames) <= 3


async def test_an_exchange_that_reads_nothing_answers_nothing_and_sends_on(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        await subscribe(client, "trade")
        await read_until(client, "trade")
        service.fault(do="stop_reading")
        await client.send(json.dumps({"id": 7, "cmd": "list_subscriptions"}))
        frames = await read_on(client, 0.5)
        client.transport.abort()

    assert kinds(frames) == {"trade"}


@pytest.mark.parametrize("order", [{"do": "stop_reading"}, {"do": "drip", "bytes_per_second": 1}], ids=str)
async def test_what_was_slow_goes_on_after_its_time(serving: Serving, order: dict[str, Any]) -> None:
    async with serving() as service, dial(service) as client:
        service.fault(**order, **{"for": 0.2})
        await client.send(json.dumps({"id": 7, "cmd": "list_subscriptions"}))
        early = await read_on(client, 0.1)
        told = await read_until(client, "ok")

    assert early == []
    assert told["id"] == 7


@pytest.mark.parametrize("code", [10, 25])
async def test_subscriptions_end_with_a_numbered_error(serving: Serving, code: int) -> None:
    async with serving() as service, dial(service) as client:
        await subscribe(client, "trade")
        last = await read_until(client, "trade")
        service.fault(do="end_subscription", code=code, channel="trade")
        frames = [json.loads(frame) for frame in await read_on(client, 0.4)]

    assert frames[-1]["type"] == "error" and frames[-1]["msg"]["code"] == code
    assert frames[-1]["sid"] == last["sid"]
    assert [one["seq"] for one in frames] == list(range(last["seq"] + 1, last["seq"] + 1 + len(frames)))


async def test_any_bytes_can_be_a_frame(serving: Serving, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    async with serving(ledger=ledger, markets=1, rate=1) as service, dial(service) as client:
        service.fault(do="inject", text="")
        service.fault(do="inject", text="[NaN]", times=2)
        service.fault(do="inject", b64="AP8=", binary=True)
        service.fault(do="unknown_type")  # needs a subscription: nothing happens
        frames = await read_on(client, 0.3)

    assert frames == ["", "[NaN]", "[NaN]", b"\x00\xff"]
    assert [line.get("frame", line.get("frame_b64")) for line in ledger_of(ledger)] == ["", "[NaN]", "[NaN]", "AP8="]  # fmt: skip


async def test_a_type_that_nobody_knows_takes_a_number(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        await subscribe(client, "trade")
        await read_until(client, "trade")
        service.fault(do="unknown_type", channel="trade")
        stranger = await read_until(client, "market_mood")
        following = await read_until(client, "trade")

    assert following["seq"] == stranger["seq"] + 1


async def test_invalid_utf8_is_a_line_of_bytes_in_the_ledger(serving: Serving, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    async with serving(ledger=ledger) as service, dial(service) as client:
        await subscribe(client, "trade")
        service.fault(do="invalid_utf8", channel="trade")
        with pytest.raises(ConnectionClosed):
            while True:
                await client.recv()

    assert client.protocol.close_sent is not None and client.protocol.close_sent.code == 1007
    assert any("frame_b64" in line for line in ledger_of(ledger))


# --- large ones -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order", [{"do": "endless_frame"}, {"do": "pad_frame", "bytes": 17 * 2**20}], ids=lambda one: one["do"]
)
async def test_a_client_with_a_limit_gives_up_a_frame_beyond_it(
    serving: Serving, order: dict[str, Any]
) -> None:
    async with serving() as service, dial(service, max_size=2**24) as client:
        await subscribe(client, "trade")
        await read_until(client, "trade")
        service.fault(**order, channel="trade")
        with pytest.raises(ConnectionClosed):
            while True:
                await client.recv()

    assert client.protocol.close_sent is not None and client.protocol.close_sent.code == 1009


async def test_a_deflate_bomb_is_for_those_who_offered_compression(serving: Serving) -> None:
    codes = []
    async with serving() as service:
        for compression in ("deflate", None):
            async with dial(service, max_size=2**20, compression=compression) as client:
                await subscribe(client, "trade")
                await read_until(client, "trade")
                service.fault(do="deflate_bomb", bytes=2**23)
                with pytest.raises(ConnectionClosed):
                    while True:
                        await client.recv()
                assert client.protocol.close_sent is not None
                codes.append(client.protocol.close_sent.code)

    assert codes == [1009, 1002]


# --- the door ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "status", "body", "headers"),
    [
        ({"status": 401, "why": "missing"}, 401, "signature_is_missing_from_headers", {}),
        ({"status": 401, "why": "expired"}, 401, "header_timestamp_expired", {}),
        ({"status": 401, "why": "unknown_key"}, 401, "NOT_FOUND", {}),
        ({"status": 401}, 401, "INCORRECT_API_KEY_SIGNATURE", {}),
        ({"status": 403}, 403, "Forbidden", {}),
        ({"status": 429, "retry_after": 7}, 429, "too many requests", {"Retry-After": "7"}),
        ({"status": 429}, 429, '{"error":"too many requests"}', {}),
        ({"status": 502}, 502, "<h1>502</h1>", {"Content-Type": "text/html"}),
        ({"status": 302}, 302, "", {"Location": "https://elsewhere.example/trade-api/ws/v2"}),
    ],
    ids=str,
)
async def test_a_handshake_is_refused_as_ordered_and_once(
    serving: Serving, order: dict[str, Any], status: int, body: str, headers: dict[str, str]
) -> None:
    async with serving() as service, httpx.AsyncClient() as http:
        service.fault(do="refuse_handshake", count=1, **order)
        url = f"http://127.0.0.1:{service.port}/trade-api/ws/v2"
        refused = await http.get(url, headers=HEADERS)
        async with dial(service):
            pass

    assert refused.status_code == status
    assert body in refused.text
    assert {name: refused.headers.get(name) for name in headers} == headers
    assert ("Retry-After" in refused.headers) == ("retry_after" in order)


async def test_a_refusal_has_as_much_html_as_ordered(serving: Serving) -> None:
    async with serving() as service, httpx.AsyncClient() as http:
        service.fault(do="refuse_handshake", status=503, bytes=2**20)
        refused = await http.get(f"http://127.0.0.1:{service.port}/trade-api/ws/v2", headers=HEADERS)

    assert len(refused.content) == 2**20


async def test_nobody_listens_for_a_while_and_those_who_are_in_stay(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        await subscribe(client, "trade")
        service.fault(do="refuse_connection", **{"for": 0.5})
        await asyncio.sleep(0.1)
        with pytest.raises(ConnectionRefusedError):
            await dial(service)
        await read_until(client, "trade")
        await asyncio.sleep(0.6)
        async with dial(service) as later:
            await subscribe(later, "trade")
            await read_until(later, "trade")


async def test_connections_are_reset_before_a_word(serving: Serving) -> None:
    async with serving() as service:
        service.fault(do="reset_connection", count=1)
        with pytest.raises((OSError, InvalidMessage)):
            await dial(service, open_timeout=2)
        async with dial(service):
            pass


async def test_a_wrong_clock_refuses_signatures_and_shows_itself(serving: Serving) -> None:
    headers = {**HEADERS, "KALSHI-ACCESS-TIMESTAMP": str(time.time_ns() // 1_000_000)}
    async with serving() as service:
        service.fault(do="wrong_clock", offset=-300)
        with pytest.raises(InvalidStatus) as refused:
            await dial(service, headers)

    response = refused.value.response
    off_s = parsedate_to_datetime(response.headers["Date"]).timestamp() - time.time()
    assert response.status_code == 401 and b"header_timestamp_expired" in response.body
    assert -303 < off_s < -297


async def test_a_key_is_changed_while_it_runs(serving: Serving) -> None:
    keys = [Ed25519PrivateKey.generate() for _ in range(2)]
    public = [
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        for key in keys
    ]
    async with serving(door=Door({"key-1": public[0]})) as service:
        private = keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        headers = signed_headers("key-2", private, "GET", "/trade-api/ws/v2", time.time_ns() // 1_000_000)
        with pytest.raises(InvalidStatus):
            await dial(service, headers)
        service.fault(do="change_key", key_id="key-2", public_key=public[1])
        async with dial(service, headers):
            pass
        with pytest.raises(Refused, match="public key"):
            service.fault(do="change_key", key_id="key-3", public_key="no key")


async def test_a_certificate_that_nobody_vouches_for_is_refused_by_a_client_that_looks(
    serving: Serving, tmp_path: Path
) -> None:
    server, trusting = certificate(tmp_path)
    async with serving(tls=server) as service:
        url = f"wss://localhost:{service.port}/trade-api/ws/v2"
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(url, additional_headers=HEADERS)
        async with connect(url, additional_headers=HEADERS, ssl=trusting) as client:
            await subscribe(client, "trade")
            await read_until(client, "trade")
            service.fault(do="cut_frame", bytes=3)
            with pytest.raises(ConnectionClosed):
                while True:
                    await client.recv()


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """One that signs itself, for localhost: the server's side, and the side of who trusts it."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, None)
    )  # fmt: skip
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return server, ssl.create_default_context(cafile=str(folder / "certificate.pem"))


# --- REST -------------------------------------------------------------------------------------


async def test_rest_fails_as_ordered_below_a_path(serving: Serving) -> None:
    async with serving() as service, httpx.AsyncClient(base_url=base(service)) as http:
        service.fault(do="fail_rest", status=429, path="/markets", count=1)
        answers = [await http.get(path) for path in ("/exchange/status", "/markets", "/markets")]
        service.fault(do="fail_rest", status=0, count=1)
        with pytest.raises(httpx.TransportError):
            await http.get("/markets")

    assert [one.status_code for one in answers] == [200, 429, 200]
    assert answers[1].json() == {"error": "too many requests"}


async def test_rest_is_slow_and_its_lists_empty(serving: Serving) -> None:
    async with serving() as service, httpx.AsyncClient(base_url=base(service)) as http:
        service.fault(do="slow_rest", seconds=0.3, path="/markets")
        number = service.fault(do="empty_rest", path="/markets")
        began = time.monotonic()
        empty = await http.get("/markets?limit=2")
        took_s = time.monotonic() - began
        service.trouble.clear(number)
        full = await http.get("/markets?limit=2")

    assert took_s >= 0.3
    assert empty.json() == {"cursor": "", "markets": []}
    assert len(full.json()["markets"]) == 2


@pytest.mark.parametrize(("status", "is_active"), [(200, True), (503, False)])
async def test_a_paused_exchange_says_so_and_is_silent(
    serving: Serving, status: int, is_active: bool
) -> None:
    async with (
        serving() as service,
        httpx.AsyncClient(base_url=base(service)) as http,
        dial(service) as client,
    ):
        await subscribe(client, "trade", "ticker")
        await read_until(client, "trade")
        number = service.fault(do="pause_exchange", status=status)
        await read_on(client, 0.1)
        told = await http.get("/exchange/status")
        silence = await read_on(client, 0.4)
        service.trouble.clear(number)
        await read_until(client, "trade")
        again = await http.get("/exchange/status")

    assert silence == []
    assert told.status_code == status
    assert (told.json()["trading_active"], told.json()["exchange_active"]) == (False, is_active)
    assert again.json()["trading_active"]


# --- commands ---------------------------------------------------------------------------------


async def talk(client: ClientConnection, *commands: dict[str, Any]) -> None:
    for command_id, command in enumerate(commands, 1):
        await client.send(json.dumps({"id": command_id, **command}))


LIST = {"cmd": "list_subscriptions"}


async def test_answers_come_late_or_never(serving: Serving) -> None:
    async with serving(markets=1, rate=1) as service, dial(service) as client:
        service.fault(do="lose_commands", skip=1, count=1)
        late = service.fault(do="slow_acks", seconds=0.3)
        await talk(client, LIST, LIST, LIST)
        early = await read_on(client, 0.2)
        frames = await read_on(client, 0.4)
        service.trouble.clear(late)

    assert early == []
    assert [json.loads(frame)["id"] for frame in frames] == [1, 3]


async def test_answers_come_in_another_order(serving: Serving) -> None:
    async with serving(markets=1, rate=1) as service, dial(service) as client:
        service.fault(do="reorder_acks", within=0.1)
        await talk(client, LIST, LIST, LIST, LIST)
        ids = [json.loads(frame)["id"] for frame in await read_on(client, 0.4)]

    assert sorted(ids) == [1, 2, 3, 4] and ids[0] != 1


async def test_commands_are_refused_with_a_code(serving: Serving) -> None:
    async with serving(markets=1, rate=1) as service, dial(service) as client:
        service.fault(do="refuse_commands", code=27, count=1)
        await talk(client, LIST, LIST)
        frames = [json.loads(frame) for frame in await read_on(client, 0.3)]

    assert frames[0]["msg"] == {"code": 27, "msg": "Too many requests"} and frames[0]["id"] == 1
    assert frames[1]["type"] == "ok"


@pytest.mark.parametrize("code", [0, 26])
async def test_a_subscription_is_granted_in_part(serving: Serving, code: int) -> None:
    async with serving() as service, dial(service) as client:
        refused, *granted = [
            ticker for ticker, market in service.exchange.venue.markets.items() if market.status == "active"
        ]
        service.fault(do="refuse_tickers", tickers=[refused], code=code)
        await subscribe(client, "orderbook_delta", tickers=(refused, *granted))
        frames = [json.loads(frame) for frame in await read_on(client, 0.5)]

    books = {one["msg"]["market_ticker"] for one in frames if one["type"] == "orderbook_snapshot"}
    errors = [one["msg"]["code"] for one in frames if one["type"] == "error"]
    assert books == set(granted)
    assert errors == ([26] if code else [])
    seqs = [one["seq"] for one in frames if "seq" in one]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_the_rules_change_and_change_back(serving: Serving) -> None:
    async with serving() as service:
        numbers = [
            service.fault(do="first_sid", sid=700),
            service.fault(do="refuse_repeats"),
            service.fault(do="limit_markets", most=1),
        ]
        async with dial(service) as client:
            await talk(
                client,
                {"cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": ["A"]}},
                {"cmd": "subscribe", "params": {"channels": ["trade"], "market_tickers": ["B"]}},
                {"cmd": "subscribe", "params": {"channels": ["ticker"], "market_tickers": ["A", "B"]}},
            )
            frames = [json.loads(frame) for frame in await read_on(client, 0.3)]
        for number in numbers:
            service.trouble.clear(number)
        async with dial(service) as client:
            await talk(client, {"cmd": "subscribe", "params": {"channels": ["trade"]}})
            later = await read_until(client, "subscribed")

    assert frames[0]["msg"]["sid"] == 700
    assert [one["msg"]["code"] for one in frames[1:]] == [6, 26]
    assert later["msg"]["sid"] == 1


async def test_the_default_price_scale_flips_for_those_who_did_not_choose(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        [ticker, *_] = [ticker for ticker, market in service.exchange.venue.markets.items() if market.book.no]
        await subscribe(client, "orderbook_delta", tickers=(ticker,))
        before = await read_until(client, "orderbook_snapshot")
        service.fault(do="flip_yes_price")
        snapshot = {"sid": 1, "market_tickers": [ticker], "action": "get_snapshot"}
        await talk(client, {"cmd": "update_subscription", "params": snapshot})
        after = await read_until(client, "orderbook_snapshot")

    def best(told: dict[str, Any]) -> float:
        return float(told["msg"]["no_dollars_fp"][-1][0])

    assert abs(best(before) + best(after) - 1) < 0.3
    assert best(before) != best(after)


# --- markets ----------------------------------------------------------------------------------


async def test_a_burst_comes_at_once_and_leaves_the_books_as_they_were(serving: Serving) -> None:
    async with serving(rate=1) as service, dial(service) as client:
        tickers = [one.ticker for one in service.exchange.venue.markets.values() if one.status == "active"]
        await subscribe(client, "orderbook_delta", tickers=tuple(tickers))
        await read_until(client, "subscribed")
        service.fault(do="burst", frames=20_000)
        frames = [json.loads(frame) for frame in await read_on(client, 1.0)]

    changes = [one["msg"] for one in frames if one["type"] == "orderbook_delta"]
    assert len(changes) >= 20_000
    sizes = Counter(change["delta_fp"] for change in changes)
    assert sizes["1.00"] >= 10_000 and abs(sizes["1.00"] - sizes["-1.00"]) < 10
    assert [one["seq"] for one in frames] == list(range(1, len(frames) + 1))


async def test_hundreds_of_markets_roll_over_in_one_second(serving: Serving) -> None:
    created: list[dict[str, Any]] = []
    async with serving(markets=1, rate=1) as service, dial(service) as client:
        await subscribe(client, "market_lifecycle_v2")
        await read_until(client, "subscribed")
        service.fault(do="roll_over", markets=200, lead=0, period=1, times=2)
        while len(created) < 400:
            told = (await read_until(client, "market_lifecycle_v2"))["msg"]
            if told["event_type"] == "created" and told["market_ticker"].startswith("KXROLL"):
                created.append(told)

    assert len({one["market_ticker"] for one in created}) == 400
    assert len({one["open_ts"] for one in created}) == 2


async def test_strangers_trade(serving: Serving) -> None:
    async with serving(rate=1) as service, dial(service) as client:
        await subscribe(client, "trade")
        await read_until(client, "subscribed")
        service.fault(do="unknown_markets", markets=50, seconds=0.1)
        frames = [json.loads(frame) for frame in await read_on(client, 0.5)]

    assert sum("KXSTRANGE" in one["msg"].get("market_ticker", "") for one in frames) == 50


async def test_markets_are_paused_go_on_and_close_early(serving: Serving) -> None:
    async with serving() as service, dial(service) as client:
        await subscribe(client, "market_lifecycle_v2")
        await read_until(client, "subscribed")
        number = service.fault(do="deactivate")
        paused = await read_until(client, "market_lifecycle_v2")
        service.trouble.clear(number)
        service.fault(do="late_determination", seconds=10_000)
        service.fault(do="move_close", seconds=0)
        frames = [json.loads(frame)["msg"] for frame in await read_on(client, 0.5)]

    assert paused["msg"]["event_type"] == "deactivated"
    told = {(one["event_type"], one["market_ticker"]) for one in frames}
    moved = {ticker for event, ticker in told if event == "close_date_updated"}
    assert moved
    assert "activated" in {event for event, _ in told}
    assert not moved & {ticker for event, ticker in told if event == "determined"}


async def test_a_fault_of_markets_needs_random_ones(serving: Serving, small: Path) -> None:
    async with serving(replay=(small,)) as service:
        with pytest.raises(Refused, match="--markets"):
            service.fault(do="burst")

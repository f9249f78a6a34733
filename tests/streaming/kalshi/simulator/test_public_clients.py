"""A public client of Kalshi works against the simulated exchange unchanged: only its address is another one."""

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pykalshi import Feed, KalshiClient
from pykalshi.enums import CandlestickPeriod, MarketStatus
from pykalshi.exceptions import AuthenticationError

from streaming.kalshi.simulator.auth import Door
from streaming.kalshi.simulator.server import Service
from tests.streaming.kalshi.simulator.conftest import Serving


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def door(key: rsa.RSAPrivateKey) -> Door:
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Door({"key-1": public.decode()})


@pytest.fixture
def key_file(key: rsa.RSAPrivateKey, tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def client_of(service: Service, key_file: Path, key_id: str = "key-1") -> KalshiClient:
    base = f"http://127.0.0.1:{service.port}/trade-api/v2"
    return KalshiClient(api_key_id=key_id, private_key_path=str(key_file), api_base=base)


def read_rest(client: KalshiClient) -> dict[str, Any]:
    """All that a trader's first script asks for."""
    [market, *others] = client.get_markets(status=MarketStatus.OPEN, mve_filter="exclude")
    now_s = int(time.time())
    minute = CandlestickPeriod.ONE_MINUTE
    return {
        "markets": [market.ticker, *(one.ticker for one in others)],
        "market": client.get_market(market.ticker),
        "book": market.get_orderbook().orderbook,
        "trades": client.get_trades(limit=1000, fetch_all=True),
        "own trades": market.get_trades(limit=5),
        "event": client.get_event(market.event_ticker),
        "series": client.get_series("KXBTC5M"),
        "candles": market.get_candlesticks(now_s - 600, now_s + 60, minute).candlesticks,
        "batch": client.get_candlesticks_batch([market.ticker], now_s - 600, now_s + 60, minute),
        "cutoff": client.history.get_cutoff(),
        "past": client.history.get_markets(),
        "balance": client.portfolio.get_balance().balance,
        "status": client.exchange.get_status().trading_active,
    }


async def test_pykalshi_reads_markets_books_trades_and_candles(
    serving: Serving, door: Door, key_file: Path
) -> None:
    async with serving(door=door, combos=20) as service:
        await asyncio.sleep(0.6)  # REST tells of trades a moment later
        with client_of(service, key_file) as client:
            found = await asyncio.to_thread(read_rest, client)

    assert len(found["markets"]) >= 5 and not any(one.startswith("KXMVE") for one in found["markets"])
    assert found["market"].ticker == found["markets"][0]
    assert found["book"].yes_dollars and found["book"].no_dollars
    assert len(found["trades"]) > 20
    # A market that has just opened may have no trade yet.
    assert {one.ticker for one in found["own trades"]} <= {found["markets"][0]}
    assert found["candles"] and found["batch"][found["markets"][0]].candlesticks
    assert (found["balance"], found["status"]) == (9801, True)


async def test_pykalshi_follows_books_and_trades(serving: Serving, door: Door, key_file: Path) -> None:
    heard: Counter[str] = Counter()
    async with serving(door=door) as service:
        with client_of(service, key_file) as client:
            markets = await asyncio.to_thread(client.get_markets, status=MarketStatus.OPEN)
            feed: Feed = client.feed()
            feed._ws_url = f"ws://127.0.0.1:{service.port}/trade-api/ws/v2"  # it has no option for it
            for channel in ("orderbook_delta", "trade", "ticker"):
                feed.on(channel, lambda message: heard.update([type(message).__name__]))
            feed.subscribe("orderbook_delta", market_tickers=[market.ticker for market in markets])
            feed.subscribe("trade")
            feed.subscribe("ticker")
            await asyncio.to_thread(feed.start)
            while len(heard) < 4 or heard.total() < 100:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(feed.stop)

    assert heard["OrderbookSnapshotMessage"] == len(markets)
    assert set(heard) == {
        "OrderbookSnapshotMessage",
        "OrderbookDeltaMessage",
        "TradeMessage",
        "TickerMessage",
    }


async def test_pykalshi_understands_a_refusal(serving: Serving, door: Door, key_file: Path) -> None:
    async with serving(door=door) as service:
        with client_of(service, key_file, key_id="key-2") as client, pytest.raises(AuthenticationError):
            await asyncio.to_thread(client.get_markets)

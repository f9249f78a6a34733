"""A made-up day to seal: many tickers, most of them quiet, in frames of the recorded shape; the same for the same size."""

import random
from collections.abc import Iterator

from streaming import marks
from streaming.records import Kind, Record

SESSION = "kalshi-sim-20251214T120000Z-bench1"
FEED, ENVIRONMENT = "kalshi-sim", "bench"
NOON = 1_765_713_600_000_000_000
_MARKET_ID = "9b0f6b43-5b68-4f9f-9f02-9a2d1b8ac1a1"
_START = marks.SessionStart(
    feed=FEED,
    environment=ENVIRONMENT,
    environment_version=1,
    config_hash="0" * 64,
    feed_version="v1",
    endpoint="ws://127.0.0.1:8010",
    code_version="bench",
    subscribe={"use_yes_price": False},
)


def records(frames: int, tickers: int) -> Iterator[Record]:
    """One session: a snapshot of each book, then changes and one trade in thirty; 20 microseconds apart."""
    payloads = _payloads(frames, tickers)
    for n, payload in enumerate(payloads, start=1):
        kind = Kind.MARK if n == 1 or payload.startswith(b'{"mark"') else Kind.TEXT
        yield Record(n, NOON + n * 20_000, 1, kind, payload)


def _payloads(frames: int, tickers: int) -> Iterator[bytes]:
    names = [f"KXBENCH-26AUG10-T{number:05d}" for number in range(tickers)]
    chance, seq, trade = random.Random(1), 0, 0
    last: dict[str, tuple[int, int, str]] = {}
    yield marks.encode(_START)
    for ticker in names:
        seq += 1
        yield _snapshot(ticker, seq)
    for number in range(frames - tickers):
        ticker = names[int(chance.random() ** 3 * tickers)]
        if number % 30 == 0:
            trade += 1
            yield _trade(ticker, trade, 40 + number % 20, chance.randrange(1, 500))
            continue
        seq += 1
        undone = last.pop(ticker, None)  # what was added is taken away by the next change: nothing piles up
        price, size, side = undone or _added(chance)
        if undone is None:
            last[ticker] = (price, -size, side)
        yield _delta(ticker, seq, price, size, side)
    yield marks.encode(marks.SessionEnd("stopped"))


def _added(chance: random.Random) -> tuple[int, int, str]:
    return chance.randrange(1, 46), chance.randrange(1, 300), chance.choice(("yes", "no"))


def _snapshot(ticker: str, seq: int) -> bytes:
    return (
        f'{{"type":"orderbook_snapshot","sid":1,"seq":{seq},"msg":{{"market_ticker":"{ticker}",'
        f'"market_id":"{_MARKET_ID}","yes_dollars_fp":[["0.4600","1000.00"],["0.3900","900.00"]],'
        f'"no_dollars_fp":[["0.4800","1000.00"]]}}}}'
    ).encode()


def _delta(ticker: str, seq: int, price: int, size: int, side: str) -> bytes:
    return (
        f'{{"type":"orderbook_delta","sid":1,"seq":{seq},"msg":{{"market_ticker":"{ticker}",'
        f'"market_id":"{_MARKET_ID}","price_dollars":"0.{price:02d}00","delta_fp":"{size}.00","side":"{side}",'
        f'"ts":"2025-12-14T12:00:00.{seq % 1_000_000:06d}Z","ts_ms":{NOON // 1_000_000 + seq % 1000}}}}}'
    ).encode()


def _trade(ticker: str, number: int, price: int, count: int) -> bytes:
    return (
        f'{{"type":"trade","sid":2,"seq":{number},"msg":{{"trade_id":"{number:08x}-6d6d-4e4e-8e8e-0123456789ab",'
        f'"market_ticker":"{ticker}","yes_price_dollars":"0.{price:02d}00","no_price_dollars":"0.{100 - price:02d}00",'
        f'"count_fp":"{count}.00","taker_side":"yes","ts":1765713600,"ts_ms":{NOON // 1_000_000 + number}}}}}'
    ).encode()

"""Frames as Kalshi writes them, cut so that only sid, seq and sending time are filled in per client; pure."""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from streaming.kalshi.simulator.book import DOLLAR_E4, Book, contracts, dollars, level_texts, price_e4

# Which channel carries a message type (kalshi.md 3.4).
CHANNEL_OF = {
    "orderbook_snapshot": "orderbook_delta",
    "orderbook_delta": "orderbook_delta",
    "ticker": "ticker",
    "trade": "trade",
    "market_lifecycle_v2": "market_lifecycle_v2",
    "event_lifecycle": "market_lifecycle_v2",
    "event_fee_update": "market_lifecycle_v2",
    "multivariate_market_lifecycle": "multivariate_market_lifecycle",
}
PRIVATE_CHANNELS = ("fill", "user_orders", "market_positions", "order_group_updates", "communications")
CHANNELS = (*dict.fromkeys(CHANNEL_OF.values()), *PRIVATE_CHANNELS)
# Always the whole exchange, whatever tickers a client names.
UNFILTERED = ("market_lifecycle_v2", "multivariate_market_lifecycle")
WITHOUT_SEQ = ("ticker", "fill", "market_positions", "user_orders")

_PRICE = re.compile(rb'("price_dollars":")([0-9.]+)(")')


@dataclass(slots=True)
class Broadcast:
    """One event of the exchange, the same for every client until it is stamped."""

    type: bytes
    channel: str
    ticker: str
    msg: bytes
    extra: bytes = b""  # further top-level keys of a recorded frame, each with a leading comma

    def stamped(self, sid: int, seq: int | None, now_ms: int) -> bytes:
        """The text frame of one subscription."""
        if seq is None:
            return b'{"type":"%b","sid":%d,"msg":%b%b,"sending_ts_ms":%d}\n' % (
                self.type, sid, self.msg, self.extra, now_ms,
            )  # fmt: skip
        return b'{"type":"%b","sid":%d,"seq":%d,"msg":%b%b,"sending_ts_ms":%d}\n' % (
            self.type, sid, seq, self.msg, self.extra, now_ms,
        )  # fmt: skip

    def on_yes_scale(self) -> "Broadcast":
        """The same with NO prices on the YES scale, as `use_yes_price` asks."""
        if self.type == b"orderbook_delta" and b'"side":"no"' in self.msg:
            return Broadcast(
                self.type, self.channel, self.ticker, _PRICE.sub(_complement, self.msg), self.extra
            )
        if self.type == b"orderbook_snapshot":
            body = json.loads(self.msg)
            if "no_dollars_fp" in body:
                body["no_dollars_fp"] = [
                    [_complement_text(price), size] for price, size in body["no_dollars_fp"]
                ]
            return Broadcast(self.type, self.channel, self.ticker, encoded(body), self.extra)
        return self


def encoded(body: Any) -> bytes:
    """JSON without spaces, as the exchange sends it."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def broadcast(message_type: str, ticker: str, body: dict[str, Any]) -> Broadcast:
    """A frame of our own making."""
    return Broadcast(message_type.encode(), CHANNEL_OF[message_type], ticker, encoded(body))


def snapshot(ticker: str, market_id: str, book: Book) -> Broadcast:
    """The whole book; an empty side is left out (kalshi.md 3.5)."""
    body: dict[str, Any] = {"market_ticker": ticker, "market_id": market_id}
    if book.yes:
        body["yes_dollars_fp"] = level_texts(book.yes)
    if book.no:
        body["no_dollars_fp"] = level_texts(book.no)
    return broadcast("orderbook_snapshot", ticker, body)


def delta(ticker: str, market_id: str, side: str, price: int, size: int, now_us: int) -> Broadcast:
    """A change of one level, by one order."""
    body = {
        "market_ticker": ticker, "market_id": market_id, "price_dollars": dollars(price),
        "delta_fp": contracts(size), "side": side, "ts": rfc3339(now_us), "ts_ms": now_us // 1000,
    }  # fmt: skip
    return broadcast("orderbook_delta", ticker, body)


def trade(ticker: str, trade_id: str, taker: str, yes_price: int, size: int, now_us: int) -> Broadcast:
    """One maker order filled; `taker` is the outcome the taker bought."""
    body = {
        "trade_id": trade_id, "market_ticker": ticker, "yes_price_dollars": dollars(yes_price),
        "no_price_dollars": dollars(DOLLAR_E4 - yes_price), "count_fp": contracts(size), "taker_side": taker,
        "taker_outcome_side": taker, "taker_book_side": "bid" if taker == "yes" else "ask",
        "is_block_trade": False, "ts": now_us // 1_000_000, "ts_ms": now_us // 1000,
    }  # fmt: skip
    return broadcast("trade", ticker, body)


def rfc3339(at_us: int) -> str:
    """UTC with trailing zeros of the fraction trimmed, as Kalshi writes it."""
    seconds, micros = divmod(at_us, 1_000_000)
    whole = _seconds_text(seconds)
    return f"{whole}.{micros:06d}".rstrip("0") + "Z" if micros else f"{whole}Z"


@lru_cache(maxsize=4096)
def _seconds_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _complement(found: re.Match[bytes]) -> bytes:
    return found[1] + _complement_text(found[2].decode()).encode() + found[3]


def _complement_text(price: str) -> str:
    return dollars(DOLLAR_E4 - price_e4(price))

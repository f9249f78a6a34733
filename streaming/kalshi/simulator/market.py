"""One market as REST shows it; pure."""

from dataclasses import dataclass, field
from typing import Any

from streaming.kalshi.simulator import frames
from streaming.kalshi.simulator.book import DOLLAR_E4, Book, contracts, dollars
from streaming.kalshi.simulator.candles import Candles

# Bands of each price structure (kalshi.md 3.7).
PRICE_RANGES = {
    "linear_cent": [("0.0000", "1.0000", "0.0100")],
    "deci_cent": [("0.0000", "1.0000", "0.0010")],
    "tapered_deci_cent": [
        ("0.0000", "0.1000", "0.0010"), ("0.1000", "0.9000", "0.0100"), ("0.9000", "1.0000", "0.0010"),
    ],
    "center_deci_edge_centi_cent": [
        ("0.0000", "0.0100", "0.0001"), ("0.0100", "0.9900", "0.0010"), ("0.9900", "1.0000", "0.0001"),
    ],
}  # fmt: skip
# What a market that is over no longer hides.
SETTLEMENT_FIELDS = ("result", "expiration_value", "settlement_value_dollars", "settlement_ts")


@dataclass(slots=True)
class Market:
    """A market, its book, and what REST says of it."""

    ticker: str
    market_id: str
    event_ticker: str
    series_ticker: str
    fields: dict[str, Any]
    status: str = "initialized"
    book: Book = field(default_factory=Book)
    # A replayed book is unknown until its first recorded snapshot was sent.
    has_book: bool = True
    last_e4: int = 0
    volume_e2: int = 0
    open_interest_e2: int = 0
    last_trade_e2: int = 0
    index: int = 0
    candles: Candles = field(default_factory=Candles)

    def body(self) -> dict[str, Any]:
        """The Market object of kalshi.md 4.3."""
        return {**MARKET_DEFAULTS, **self.fields, **self._trading(), "status": self.status}

    def _trading(self) -> dict[str, Any]:
        bid, bid_size, ask, ask_size = self.book.quote()
        return {
            "yes_bid_dollars": dollars(bid),
            "yes_ask_dollars": dollars(ask),
            "no_bid_dollars": dollars(DOLLAR_E4 - ask),
            "no_ask_dollars": dollars(DOLLAR_E4 - bid),
            "yes_bid_size_fp": contracts(bid_size),
            "yes_ask_size_fp": contracts(ask_size),
            "last_price_dollars": dollars(self.last_e4),
            "volume_fp": contracts(self.volume_e2),
            "volume_24h_fp": contracts(self.volume_e2),
            "open_interest_fp": contracts(self.open_interest_e2),
        }

    def traded(self, yes_price_e4: int, size_e2: int, at_us: int) -> None:
        """Count one trade."""
        self.last_e4, self.last_trade_e2 = yes_price_e4, size_e2
        self.volume_e2 += size_e2
        self.open_interest_e2 += size_e2 // 2
        bid, _, ask, _ = self.book.quote()
        self.candles.trade(at_us, yes_price_e4, size_e2, quote=(bid, ask), interest=self.open_interest_e2)

    def snapshot(self) -> frames.Broadcast:
        """The book as a frame."""
        return frames.snapshot(self.ticker, self.market_id, self.book)

    def ticker_frame(self, now_us: int) -> frames.Broadcast:
        """The conflated quote as a frame of the ticker channel."""
        bid, bid_size, ask, ask_size = self.book.quote()
        self.candles.quote(now_us, bid, ask)
        body = {
            "market_id": self.market_id, "market_ticker": self.ticker, "price_dollars": dollars(self.last_e4),
            "yes_bid_dollars": dollars(bid), "yes_ask_dollars": dollars(ask), "volume_fp": contracts(self.volume_e2),
            "open_interest_fp": contracts(self.open_interest_e2), "dollar_volume": self.volume_e2 // 200,
            "dollar_open_interest": self.open_interest_e2 // 200, "yes_bid_size_fp": contracts(bid_size),
            "yes_ask_size_fp": contracts(ask_size), "last_trade_size_fp": contracts(self.last_trade_e2),
            "ts": now_us // 1_000_000, "ts_ms": now_us // 1000, "time": frames.rfc3339(now_us),
        }  # fmt: skip
        return frames.broadcast("ticker", self.ticker, body)


MARKET_DEFAULTS: dict[str, Any] = {
    "market_type": "binary",
    "yes_sub_title": "",
    "no_sub_title": "",
    "notional_value_dollars": "1.0000",
    "previous_yes_bid_dollars": "0.0000",
    "previous_yes_ask_dollars": "1.0000",
    "previous_price_dollars": "0.0000",
    "result": "",
    "expiration_value": "",
    "settlement_bounds_type": "default",
    "settlement_timer_seconds": 1,
    "can_close_early": True,
    "rules_primary": "",
    "rules_secondary": "",
    "exchange_index": 0,
}


def price_fields(structure: str) -> dict[str, Any]:
    """`price_level_structure` and its `price_ranges`."""
    bands = [{"start": start, "end": end, "step": step} for start, end, step in PRICE_RANGES[structure]]
    return {"price_level_structure": structure, "price_ranges": bands}


def series_body(ticker: str, *, title: str, category: str, frequency: str = "custom") -> dict[str, Any]:
    """The Series object of kalshi.md 4.7."""
    return {
        "ticker": ticker,
        "frequency": frequency,
        "title": title,
        "category": category,
        "categories": [category],
        "tags": [],
        "settlement_sources": [{"name": "Simulation", "url": "https://example.com/simulation"}],
        "contract_url": "https://example.com/contract",
        "contract_terms_url": "https://example.com/terms",
        "fee_type": "quadratic",
        "fee_multiplier": 1,
        "additional_prohibitions": [],
        "last_updated_ts": "0001-01-01T00:00:00Z",
        "exchange_index": 0,
    }


def event_body(ticker: str, *, series: str, title: str, category: str, sub_title: str = "") -> dict[str, Any]:
    """The Event object of kalshi.md 4.6."""
    return {
        "event_ticker": ticker,
        "series_ticker": series,
        "title": title,
        "sub_title": sub_title,
        "collateral_return_type": "",
        "mutually_exclusive": False,
        "category": category,
        "settlement_sources": [{"name": "Simulation", "url": "https://example.com/simulation"}],
        "last_updated_ts": "0001-01-01T00:00:00Z",
        "exchange_index": 0,
    }

"""What the exchange lists: series, events, markets, the trades of late; pure."""

from collections import deque
from typing import Any

from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.rules import Rules

TRADES_KEPT = 20_000


class Venue:
    """The exchange's state, filled by random life or by a replay."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.markets: dict[str, Market] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.series: dict[str, dict[str, Any]] = {}
        # (ticker, the trade frame's msg), newest last.
        self.trades: deque[tuple[str, bytes]] = deque(maxlen=TRADES_KEPT)
        self._listed = 0

    def list_market(self, market: Market, *, event: dict[str, Any], series: dict[str, Any]) -> None:
        """Show a market, its event and its series."""
        self._listed += 1
        market.index = self._listed
        self.markets[market.ticker] = market
        self.events.setdefault(market.event_ticker, event)
        self.series.setdefault(market.series_ticker, series)

    def delist(self, ticker: str) -> None:
        """Forget a market, and its event with the last of its markets."""
        event = self.markets.pop(ticker).event_ticker
        if not self.markets_of(event):
            self.events.pop(event, None)

    def markets_of(self, event_ticker: str) -> list[Market]:
        """The markets of one event."""
        return [market for market in self.markets.values() if market.event_ticker == event_ticker]

"""What the exchange lists: series, events, markets, the trades of late; pure."""

from collections import deque
from copy import copy
from typing import Any, NamedTuple

from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.rules import Rules

TRADES_KEPT = 20_000
MARKETS_KEPT = 5_000
# What the historical tier held when the exchange began: everything up to then.
NEVER_US = 0


class Print(NamedTuple):
    """One trade as the tape has it; `msg` is its frame's."""

    ticker: str
    msg: bytes
    at_us: int


class Venue:
    """The exchange's state, filled by random life or by a replay."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.markets: dict[str, Market] = {}
        self.events: dict[str, dict[str, Any]] = {}
        self.series: dict[str, dict[str, Any]] = {}
        # Newest last.
        self.trades: deque[Print] = deque(maxlen=TRADES_KEPT)
        # Markets that only the historical tier shows, and the settlement up to which it does.
        self.past: dict[str, Market] = {}
        self.cutoff_us = NEVER_US
        self._hidden_until_us: dict[str, int] = {}
        self._of_event: dict[str, dict[str, Market]] = {}
        self._listed = 0

    def list_market(
        self, market: Market, *, event: dict[str, Any], series: dict[str, Any], shown_us: int = 0
    ) -> None:
        """Show a market, its event and its series; REST shows the market from `shown_us` on."""
        self._listed += 1
        market.index = self._listed
        self.markets[market.ticker] = market
        self._of_event.setdefault(market.event_ticker, {})[market.ticker] = market
        self.events.setdefault(market.event_ticker, event)
        self.series.setdefault(market.series_ticker, series)
        if shown_us:
            self._hidden_until_us[market.ticker] = shown_us

    def delist(self, ticker: str, *, settled_us: int = 0) -> None:
        """Move a market to the historical tier."""
        self.past[ticker] = self.markets[ticker]
        self.cutoff_us = max(self.cutoff_us, settled_us)
        if len(self.past) > MARKETS_KEPT:
            del self.past[next(iter(self.past))]
        self.forget(ticker)

    def forget(self, ticker: str) -> None:
        """Show a market no longer, nor its event with the last of its markets."""
        event = self.markets.pop(ticker).event_ticker
        self._hidden_until_us.pop(ticker, None)
        del self._of_event[event][ticker]
        if not self._of_event[event]:
            del self._of_event[event]
            self.events.pop(event, None)

    def markets_of(self, event_ticker: str) -> list[Market]:
        """The markets of one event."""
        return [one for one in self._of_event.get(event_ticker, {}).values() if one.ticker in self.markets]

    def as_rest_shows_it(self, now_us: int) -> "Venue":
        """REST lies a step behind: what was just listed is not there yet."""
        self._hidden_until_us = {
            ticker: until_us for ticker, until_us in self._hidden_until_us.items() if until_us > now_us
        }
        if not self._hidden_until_us:
            return self
        shown = copy(self)
        shown.markets = {
            ticker: market for ticker, market in self.markets.items() if ticker not in self._hidden_until_us
        }
        return shown

"""Which order books are wanted: the environment's patterns, what the venue said of its markets, and a clock."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streaming.kalshi.messages import Lifecycle

_S = 1_000_000_000
FORGET_AFTER_NS = 86_400 * _S
# A market that is over is remembered for a while: REST may still call it active.
REMEMBER_OVER_NS = 3_600 * _S
OVER = frozenset({"determined", "disputed", "amended", "settled", "finalized"})  # statuses of REST
COMBO_PREFIX = "KXMVE"  # user-made combinations, hundreds of thousands, hardly ever traded


@dataclass(frozen=True, slots=True)
class Patterns:
    """Which markets' books are recorded; nothing given means all of them (combinations never)."""

    tickers: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    is_everything: bool = False

    def cover(self, ticker: str) -> bool:
        """Whether the market's book is wanted."""
        if ticker in self.tickers:
            return True
        if self.is_everything:
            return not ticker.startswith(COMBO_PREFIX)
        return series_of(ticker) in self.series


def series_of(ticker: str) -> str:
    """`KXBTC15M-26JUL191145-45` belongs to series `KXBTC15M`."""
    return ticker.partition("-")[0]


@dataclass(slots=True)
class _Market:
    open_ns: int | None = None
    close_ns: int | None = None
    is_open: bool = False
    was_open: bool = False
    is_over: bool = False
    over_since_ns: int | None = None

    def opens(self, now_ns: int) -> bool:
        if self.is_open or self.is_over:
            return False
        return _passed(self.open_ns, now_ns) and not _passed(self.close_ns, now_ns)

    def close(self, now_ns: int) -> None:
        """It ended unheard; a closing that is put off may still open it again."""
        if not _passed(self.close_ns, now_ns):
            self.close_ns = now_ns
        self.is_open = self.was_open = False

    def closes(self, now_ns: int) -> bool:
        return self.is_open and _passed(self.close_ns, now_ns)


@dataclass(frozen=True, slots=True)
class Turned:
    """A market's opening or closing time passed at `at_ns`."""

    ticker: str
    at_ns: int
    is_open: bool


@dataclass
class MarketBoard:
    """Every market that the patterns cover, with its times."""

    patterns: Patterns
    _markets: dict[str, _Market] = field(default_factory=dict)

    def learn_listed(self, rows: Iterable[Mapping[str, Any]], *, now_ns: int) -> None:
        """Markets as REST lists them; the venue's own `active` beats our clock."""
        for row in rows:
            if self.patterns.cover(row["ticker"]):
                self._learn_one(self._markets.setdefault(row["ticker"], _Market()), row, now_ns)

    def _learn_one(self, market: _Market, row: Mapping[str, Any], now_ns: int) -> None:
        market.open_ns, market.close_ns = row["open_ns"], row["close_ns"]
        if row["status"] != "active" or market.is_over:
            return
        market.is_open = market.was_open = True
        if _passed(market.close_ns, now_ns):
            market.close_ns = None  # open all the same: wait for the venue to say that it is over

    def learn_asked(self, asked: Iterable[str], rows: Iterable[Mapping[str, Any]], *, now_ns: int) -> None:
        """Markets that no listing has any more, asked for by name; one that REST does not know is over."""
        found = {row["ticker"]: row for row in rows}
        for ticker in asked:
            market, row = self._markets.get(ticker), found.get(ticker)
            if market is None:
                continue
            if row is None or row["status"] in OVER:
                market.is_over = True
            elif row["status"] == "closed":
                market.close(now_ns)
            else:
                self._learn_one(market, row, now_ns)

    def learn(self, message: Lifecycle) -> None:
        """What a lifecycle frame says."""
        ticker = message.market_ticker
        if not self.patterns.cover(ticker):
            return
        if message.event_type == "created":
            self._markets.setdefault(ticker, _Market(_ns(message.open_ts), _ns(message.close_ts)))
        market = self._markets.get(ticker)
        if market is None:
            return
        if message.event_type == "close_date_updated":
            market.close_ns = _ns(message.close_ts)
        if message.event_type in ("determined", "settled"):
            market.is_over = True

    def turn(self, now_ns: int) -> list[Turned]:
        """The markets whose opening or closing time has passed since the last call."""
        turned = []
        for ticker, market in self._markets.items():
            if market.opens(now_ns):
                at_ns = now_ns if market.was_open else market.open_ns or now_ns  # its closing was put off
                market.is_open = market.was_open = True
                turned.append(Turned(ticker, at_ns, is_open=True))
            elif market.closes(now_ns):
                market.is_open = False
                turned.append(Turned(ticker, market.close_ns or now_ns, is_open=False))
        return turned

    def wanted(self) -> set[str]:
        """The markets whose books should be subscribed: from their opening until they are determined.

        Not just until they close: the frame that empties the book comes seconds later.
        """
        return {ticker for ticker, market in self._markets.items() if market.was_open and not market.is_over}

    def forget_over(self, now_ns: int) -> list[str]:
        """Forget the markets that were determined an hour ago, or closed a day ago; returns them."""
        for market in self._markets.values():
            if market.is_over and market.over_since_ns is None:
                market.over_since_ns = now_ns
        gone = [
            ticker
            for ticker, market in self._markets.items()
            if _passed(market.over_since_ns, now_ns - REMEMBER_OVER_NS)
            or _passed(market.close_ns, now_ns - FORGET_AFTER_NS)
        ]
        for ticker in gone:
            del self._markets[ticker]
        return gone


def _passed(at_ns: int | None, now_ns: int) -> bool:
    return at_ns is not None and at_ns <= now_ns


def _ns(ts: int | None) -> int | None:
    return None if ts is None else ts * _S

"""What the random exchange lists: a few series whose markets follow one another; pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from streaming.kalshi.simulator.frames import rfc3339
from streaming.kalshi.simulator.market import Market, event_body, price_fields, series_body
from streaming.kalshi.simulator.matching import stable_uuid

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """One line of short markets."""

    ticker: str
    name: str
    category: str
    structure: str
    strike: float


SERIES = (
    Series("KXBTC5M", "Bitcoin", "Crypto", "linear_cent", 72999.99),
    Series("KXINX5M", "S&P 500", "Financials", "tapered_deci_cent", 6849.99),
    Series("KXGOLD5M", "Gold", "Commodities", "linear_cent", 4409.59),
    Series("KXETH5M", "Ethereum", "Crypto", "deci_cent", 2841.25),
    Series("KXEURUSD5M", "EUR/USD", "Financials", "deci_cent", 1.16),
    Series("KXTEMPNYC5M", "New York temperature", "Climate and Weather", "linear_cent", 51.5),
)


_ROLLING = Series("KXROLL", "Roll-over", "Crypto", "linear_cent", 100.0)


@dataclass(frozen=True, slots=True)
class Slot:
    """One place where always one market is open: a series, a strike, and when its windows begin."""

    series: Series
    rung: int
    phase_us: int
    period_us: int
    times: int = 0  # how many windows; 0 is for ever

    def window_before(self, now_us: int) -> int:
        """The start of the window that is open at `now_us`."""
        return (now_us - self.phase_us) // self.period_us * self.period_us + self.phase_us

    def market(self, open_us: int, *, created_us: int, seed: int) -> Market:
        """The market of the window that opens at `open_us`."""
        close_us = open_us + self.period_us
        close = datetime.fromtimestamp(close_us // SECOND_US, UTC)
        event = f"{self.series.ticker}-{close:%y%b%d%H%M%S}".upper()
        strike = self._strike(Random(f"{seed} {event} {self.rung}"))  # noqa: S311
        suffix = f"{close:%M}" if self.rung == 0 and self.series.category != "Financials" else f"T{strike}"
        ticker = f"{event}-{suffix}" if self.rung == 0 else f"{event}-{suffix}-{self.rung}"
        return Market(
            ticker=ticker,
            market_id=stable_uuid(ticker),
            event_ticker=event,
            series_ticker=self.series.ticker,
            fields={
                "ticker": ticker, "event_ticker": event, **price_fields(self.series.structure),
                "title": f"{self.series.name} up in the next minutes?", "strike_type": "greater_or_equal",
                "yes_sub_title": "Target price: TBD", "no_sub_title": "Target price: TBD",
                "floor_strike_later": strike,
                "rules_primary": f"If {self.series.name} closes at or above the target, the market resolves to Yes.",
                "rules_secondary": "This market is simulated.",
                "created_time": rfc3339(created_us), "updated_time": rfc3339(created_us),
                "open_time": rfc3339(open_us), "close_time": rfc3339(close_us),
                "expected_expiration_time": rfc3339(close_us + 300 * SECOND_US),
                "expiration_time": rfc3339(close_us + 604_800 * SECOND_US),
                "latest_expiration_time": rfc3339(close_us + 604_800 * SECOND_US),
            },
        )  # fmt: skip

    def _strike(self, rng: Random) -> float:
        return round(self.series.strike * (1 + 0.001 * self.rung + rng.uniform(-0.0004, 0.0004)), 2)

    def event(self, ticker: str) -> dict[str, Any]:
        """The event that a market of this slot belongs to."""
        title = f"{self.series.name} 5 min"
        return event_body(ticker, series=self.series.ticker, title=title, category=self.series.category)

    def series_body(self) -> dict[str, Any]:
        """The series of this slot."""
        title = f"{self.series.name} up or down"
        return series_body(self.series.ticker, title=title, category=self.series.category)


def slots(markets: int, *, period_us: int) -> list[Slot]:
    """Room for so many markets open at once, spread over the series and over the period."""
    used = min(markets, len(SERIES))
    return [
        Slot(SERIES[index % used], index // used, (index % used) * period_us // used, period_us)
        for index in range(markets)
    ]


def rolling_slots(markets: int, *, period_us: int, times: int) -> list[Slot]:
    """Room for so many markets that open and close together."""
    return [Slot(_ROLLING, rung, 0, period_us, times) for rung in range(markets)]

"""Candlesticks of one market, kept by the minute from its trades and quotes (kalshi.md 4.5); pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from streaming.kalshi.simulator.book import contracts, dollars

MINUTE_S = 60
_US = 1_000_000
_OHLC = ("open", "high", "low", "close")


@dataclass(slots=True)
class Range:
    """First, highest, lowest and last of a price."""

    open: int
    high: int
    low: int
    close: int

    @classmethod
    def of(cls, price: int) -> "Range":
        """One price alone."""
        return cls(price, price, price, price)

    def then(self, later: "Range") -> "Range":
        """Both, one after the other."""
        return Range(self.open, max(self.high, later.high), min(self.low, later.low), later.close)

    def texts(self) -> dict[str, str]:
        """As the wire has them."""
        return {name: dollars(getattr(self, name)) for name in _OHLC}


@dataclass(slots=True)
class Candle:
    """One period; `end_s` belongs to it."""

    end_s: int
    bid: Range
    ask: Range
    price: Range | None = None
    volume_e2: int = 0
    turnover: int = 0  # price times size, for the mean
    open_interest_e2: int = 0

    def then(self, later: "Candle", end_s: int) -> "Candle":
        """Two neighbours as one."""
        price = self.price.then(later.price) if self.price and later.price else later.price or self.price
        return Candle(
            end_s, self.bid.then(later.bid), self.ask.then(later.ask), price, self.volume_e2 + later.volume_e2,
            self.turnover + later.turnover, later.open_interest_e2,
        )  # fmt: skip


@dataclass(slots=True)
class Candles:
    """A market's minutes."""

    minutes: list[Candle] = field(default_factory=list)

    def quote(self, at_us: int, bid: int, ask: int) -> Candle:
        """The quote at a moment; returns the minute's candle."""
        end_s = period_end(at_us // _US, MINUTE_S)
        if not self.minutes or self.minutes[-1].end_s < end_s:
            self.minutes.append(Candle(end_s, Range.of(bid), Range.of(ask)))
        candle = self.minutes[-1]
        candle.bid = candle.bid.then(Range.of(bid))
        candle.ask = candle.ask.then(Range.of(ask))
        return candle

    def trade(self, at_us: int, price: int, size: int, *, quote: tuple[int, int], interest: int) -> None:
        """A trade, and the quote beside it."""
        candle = self.quote(at_us, *quote)
        candle.price = candle.price.then(Range.of(price)) if candle.price else Range.of(price)
        candle.volume_e2 += size
        candle.turnover += price * size
        candle.open_interest_e2 = interest

    def periods(self, seconds: int) -> list[Candle]:
        """The minutes joined to longer periods."""
        joined: list[Candle] = []
        for minute in self.minutes:
            end_s = period_end(minute.end_s, seconds)
            if joined and joined[-1].end_s == end_s:
                joined[-1] = joined[-1].then(minute, end_s)
            else:
                joined.append(_at(minute, end_s))
        return joined


def period_end(at_s: int, seconds: int) -> int:
    """The inclusive end of the period that holds a moment."""
    return -(-at_s // seconds) * seconds


def _at(candle: Candle, end_s: int) -> Candle:
    return Candle(
        end_s,
        candle.bid,
        candle.ask,
        candle.price,
        candle.volume_e2,
        candle.turnover,
        candle.open_interest_e2,
    )


def between(
    candles: Iterable[Candle], start_s: int, end_s: int, *, with_latest: bool
) -> list[dict[str, Any]]:
    """Those of a stretch as the wire has them; each knows the last price before it."""
    told: list[dict[str, Any]] = []
    before: dict[str, Any] | None = None
    previous: int | None = None
    for candle in candles:
        body = _body(candle, previous)
        previous = candle.price.close if candle.price else previous
        if candle.end_s < start_s:
            before = body
        elif candle.end_s <= end_s:
            told.append(body)
    return [before, *told] if with_latest and before else told


def _body(candle: Candle, previous: int | None) -> dict[str, Any]:
    price = _suffixed(candle.price.texts()) if candle.price else {}
    if candle.price:
        price["mean_dollars"] = dollars(round(candle.turnover / candle.volume_e2))
    if previous is not None:
        price["previous_dollars"] = dollars(previous)
    return {
        "end_period_ts": candle.end_s, "open_interest_fp": contracts(candle.open_interest_e2), "price": price,
        "volume_fp": contracts(candle.volume_e2), "yes_ask": _suffixed(candle.ask.texts()),
        "yes_bid": _suffixed(candle.bid.texts()),
    }  # fmt: skip


def _suffixed(texts: dict[str, str]) -> dict[str, str]:
    return {f"{name}_dollars": text for name, text in texts.items()}


def as_historical(body: dict[str, Any]) -> dict[str, Any]:
    """The historical tier writes the same without suffixes."""
    return {
        name.removesuffix("_fp"): {key.removesuffix("_dollars"): text for key, text in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in body.items()
    }

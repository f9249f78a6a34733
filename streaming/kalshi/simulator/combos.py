"""Combo markets as users make them by the thousand: listed, mostly never traded, in the way (kalshi.md 4.10); pure."""

import random
from collections import deque

from streaming.kalshi.simulator import frames
from streaming.kalshi.simulator.announcements import SECOND_US, created
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.listing import COMBO
from streaming.kalshi.simulator.market import Market, event_body, price_fields, series_body
from streaming.kalshi.simulator.matching import stable_uuid
from streaming.kalshi.simulator.venue import Venue

SERIES = f"{COMBO}CROSSCATEGORY"
_HOUR_US = 3600 * SECOND_US
_WITH_LEVELS = 0.3


class Combos:
    """So many combos at a time; as many are made, and vanish, within an hour."""

    def __init__(self, venue: Venue, *, count: int, seed: int, now_us: int) -> None:
        self._venue, self._rng = venue, random.Random(f"{seed} combos")  # noqa: S311
        self._every_us = _HOUR_US // count
        self._listed: deque[str] = deque()
        self._made = 0
        for _ in range(count):
            self._make(now_us)
        self._due_us = now_us + self._every_us

    def advance(self, now_us: int) -> list[Broadcast]:
        """Those that were made meanwhile; the oldest make place."""
        told = []
        while self._due_us <= now_us:
            told.append(self._make(self._due_us))
            self._due_us += self._every_us
            self._venue.forget(self._listed.popleft())
        return told

    def _make(self, now_us: int) -> Broadcast:
        self._made += 1
        event = f"{SERIES}-S{stable_uuid(f'{now_us} {self._made}')[:13].upper().replace('-', '')}"
        ticker = f"{event}-{self._made:X}"
        market = Market(
            ticker, stable_uuid(ticker), event, SERIES, self._fields(ticker, event, now_us), "active"
        )
        if self._rng.random() < _WITH_LEVELS:
            market.book.change("yes", self._rng.randrange(100, 5000, 10), 100 * self._rng.randrange(1, 500))
        title = "Combo"
        self._venue.list_market(
            market,
            event=event_body(event, series=SERIES, title=title, category="Exotics"),
            series=series_body(SERIES, title=title, category="Exotics"),
        )
        self._listed.append(ticker)
        told = created(market, now_us, now_us + _HOUR_US)
        kind = "multivariate_market_lifecycle"
        return Broadcast(kind.encode(), kind, ticker, told.msg)

    def _fields(self, ticker: str, event: str, now_us: int) -> dict[str, object]:
        at, closes = frames.rfc3339(now_us), frames.rfc3339(now_us + 14 * 24 * _HOUR_US)
        legs = [
            {"event_ticker": name, "market_ticker": f"{name}-1", "side": self._rng.choice(("yes", "no"))}
            for name in ("KXBTC5M-LEG", "KXGOLD5M-LEG")
        ]
        return {
            "ticker": ticker, "event_ticker": event, "title": "yes Bitcoin up,no Gold up", "strike_type": "custom",
            "yes_sub_title": "yes Bitcoin up,no Gold up", "no_sub_title": "yes Bitcoin up,no Gold up",
            "rules_primary": "", "rules_secondary": "", **price_fields("center_deci_edge_centi_cent"),
            "created_time": at, "updated_time": at, "open_time": at, "close_time": closes,
            "expiration_time": closes, "latest_expiration_time": closes, "is_provisional": True, "exchange_index": 1,
            "mve_collection_ticker": f"{SERIES}-R", "mve_selected_legs": legs,
        }  # fmt: skip

"""Random orders of one market, matched by price and time; pure (the random numbers come in).

Never crossed, never locked: a bid that would reach the other side's ask is not placed but taken.
"""

import random
from bisect import bisect_left
from collections import deque
from hashlib import md5
from uuid import UUID

from streaming.kalshi.simulator import frames
from streaming.kalshi.simulator.book import DOLLAR_E4, price_e4
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.market import Market

LEVELS_WANTED = 12
# How often the trade overtakes its delta (kalshi.md 3.5).
TRADE_FIRST = 0.05
FRACTIONAL = 0.16
_OTHER = {"yes": "no", "no": "yes"}


class OrderFlow:
    """The orders resting in one market, and the people who send them."""

    def __init__(self, market: Market, rng: random.Random) -> None:
        self.market = market
        self._rng = rng
        self._grid = prices_of(market.fields["price_ranges"])
        self._orders: dict[tuple[str, int], deque[int]] = {}
        self._fair_e4 = rng.randrange(3000, 7001)
        self._trades = 0

    def act(self, now_us: int) -> list[Broadcast]:
        """One order action and the frames it causes."""
        self._fair_e4 = min(9500, max(500, self._fair_e4 + round(self._rng.gauss(0, 12))))
        thin = min(len(self.market.book.yes), len(self.market.book.no)) < LEVELS_WANTED
        draw = self._rng.random()
        if draw < 0.12:
            return self._take(now_us)
        if draw < (0.35 if thin else 0.62):
            return self._cancel(now_us)
        return self._place(now_us)

    def expire_some(self, now_us: int) -> list[Broadcast]:
        """At the close only a few orders expire by deltas; the rest stays until the empty snapshot."""
        keys = sorted(self._orders)
        chosen = self._rng.sample(keys, min(len(keys), self._rng.randint(1, 4)))
        return [self._shrink(key, -self._orders[key][0], now_us) for key in chosen]

    def come_and_go(self, now_us: int) -> tuple[Broadcast, Broadcast]:
        """An order at the lowest price, and its cancellation: the book is as it was."""
        named = self.market.ticker, self.market.market_id, "yes", self._grid[0]
        return frames.delta(*named, 100, now_us), frames.delta(*named, -100, now_us)

    def clear(self) -> None:
        """Forget all orders."""
        self._orders.clear()
        self.market.book.replace({}, {})

    def ends_yes(self) -> bool:
        """How the market is decided."""
        return self._fair_e4 >= DOLLAR_E4 // 2

    def _place(self, now_us: int) -> list[Broadcast]:
        side = self._rng.choice(("yes", "no"))
        fair = self._fair_e4 if side == "yes" else DOLLAR_E4 - self._fair_e4
        opposite = self.market.book.best(_OTHER[side])
        # The highest price that neither crosses nor locks.
        ceiling = min(fair, DOLLAR_E4 - opposite - 1 if opposite else fair)
        highest = bisect_left(self._grid, ceiling + 1) - 1
        index = highest - min(int(self._rng.expovariate(0.12)), 60)
        if highest < 0:
            return self._take(now_us)
        key = side, self._grid[max(index, 0)]
        size = self._size()
        self._orders.setdefault(key, deque()).append(size)
        return [self._delta(key, size, now_us)]

    def _cancel(self, now_us: int) -> list[Broadcast]:
        if not self._orders:
            return self._place(now_us)
        key = self._rng.choice(list(self._orders))
        queue = self._orders[key]
        position = self._rng.randrange(len(queue))
        size = queue[position]
        if size > 100 and self._rng.random() < 0.2:
            size //= 2
        queue[position] -= size
        if not queue[position]:
            del queue[position]
        if not queue:
            del self._orders[key]
        return [self._delta(key, -size, now_us)]

    def _take(self, now_us: int) -> list[Broadcast]:
        """Buy one outcome from the best bids of the other, maker by maker."""
        taker = self._rng.choice(("yes", "no"))
        wanted = self._size()
        caused: list[Broadcast] = []
        while wanted and len(caused) < 8:
            price = self.market.book.best(_OTHER[taker])
            if price is None:
                break
            key = _OTHER[taker], price
            size = min(wanted, self._orders[key][0])
            wanted -= size
            caused += self._fill(taker, key, size, now_us)
        return caused or self._place(now_us)

    def _fill(self, taker: str, maker: tuple[str, int], size: int, now_us: int) -> list[Broadcast]:
        yes_price = DOLLAR_E4 - maker[1] if taker == "yes" else maker[1]
        self._trades += 1
        trade_id = stable_uuid(f"{self.market.ticker} {now_us} {self._trades}")
        gone = self._shrink(maker, -size, now_us)
        printed = frames.trade(self.market.ticker, trade_id, taker, yes_price, size, now_us)
        self.market.traded(yes_price, size, now_us)
        return [printed, gone] if self._rng.random() < TRADE_FIRST else [gone, printed]

    def _shrink(self, key: tuple[str, int], size: int, now_us: int) -> Broadcast:
        queue = self._orders[key]
        queue[0] += size
        if not queue[0]:
            queue.popleft()
        if not queue:
            del self._orders[key]
        return self._delta(key, size, now_us)

    def _delta(self, key: tuple[str, int], size: int, now_us: int) -> Broadcast:
        self.market.book.change(*key, size)
        return frames.delta(self.market.ticker, self.market.market_id, *key, size, now_us)

    def _size(self) -> int:
        whole = 100 * max(1, round(self._rng.lognormvariate(3, 1)))
        return whole + self._rng.randrange(1, 100) if self._rng.random() < FRACTIONAL else whole


def prices_of(bands: list[dict[str, str]]) -> list[int]:
    """Every price of a market's `price_ranges`, ascending, without 0 and 1."""
    prices: set[int] = set()
    for band in bands:
        prices.update(range(price_e4(band["start"]), price_e4(band["end"]) + 1, price_e4(band["step"])))
    return sorted(prices - {0, DOLLAR_E4})


def stable_uuid(text: str) -> str:
    """The same UUID for the same text, so that a restarted exchange knows its markets again."""
    return str(UUID(bytes=md5(text.encode(), usedforsecurity=False).digest()))

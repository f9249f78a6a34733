"""Token buckets of REST, one for each key (kalshi.md 5); pure."""

from dataclasses import dataclass

from streaming.kalshi.simulator.about_exchange import COST

# Kept for as many keys; the one that was idle longest is forgotten, and would be full again.
MOST_KEYS = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Buckets:
    """Who may still ask; refilled continuously."""

    def __init__(self, rate: float, capacity: float) -> None:
        self.rate, self.capacity = rate, capacity
        self._of_key: dict[str, _Bucket] = {}

    def take(self, key: str, now_s: float) -> bool:
        """Pay for one request, if there is enough."""
        bucket = self._of_key.pop(key, None) or _Bucket(self.capacity, now_s)
        self._of_key[key] = bucket
        if len(self._of_key) > MOST_KEYS:
            del self._of_key[next(iter(self._of_key))]
        bucket.tokens = min(self.capacity, bucket.tokens + (now_s - bucket.at_s) * self.rate)
        bucket.at_s = now_s
        if bucket.tokens < COST:
            return False
        bucket.tokens -= COST
        return True

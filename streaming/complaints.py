"""What goes wrong again and again: every time counted, once a minute logged."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from streaming import metrics, subjects
from streaming.issues import Issue

log = structlog.get_logger()

LOG_EVERY_SECONDS = 60.0


class Complaints:
    """One feed's; `error_type` is the metric's, `about` says what it concerns and must be of a small set."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self._said_at: dict[tuple[str, str], float] = {}

    def note(self, error_type: str, about: str, *, problem: str) -> None:
        """Count it; log it with the number of times since it was last logged, at most once a minute."""
        metrics.CONNECTOR_ERRORS_TOTAL.labels(self._feed, error_type).inc()
        key = (error_type, about)
        self._unsaid[key] += 1
        now = time.monotonic()
        if now - self._said_at.get(key, -LOG_EVERY_SECONDS) >= LOG_EVERY_SECONDS:
            self._said_at[key] = now
            log.error(problem, about=about, count=self._unsaid.pop(key))

    async def tell(self, client: Client | None, issues: Sequence[Issue], *, session: str) -> None:
        """What the connector itself found odd, to whoever listens now: not only when the day is sealed."""
        for issue in issues:
            told = msgspec.json.encode({"session": session, **msgspec.structs.asdict(issue)})
            with suppress(NatsError):
                if client is not None:
                    await client.publish(subjects.quality(self._feed, issue.kind.value), told)

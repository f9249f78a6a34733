"""What came, by type, and how late: the connector's metrics of frames."""

from prometheus_client import Counter

from streaming import metrics
from streaming.kalshi.messages import raw_type


class FrameCounts:
    """One feed's; each series is looked up once."""

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._received: dict[str, Counter] = {}
        self._lag = metrics.CONNECTOR_LAG.labels(feed)

    def add(self, frame_type: str, sent_ms: int | None, received_ns: int) -> None:
        """One frame, by the venue's name of its type and the time at which it was queued there."""
        kind = raw_type(frame_type)
        counter = self._received.get(kind)
        if counter is None:
            counter = self._received[kind] = metrics.CONNECTOR_RECEIVED.labels(self._feed, kind)
        counter.inc()
        if sent_ms is not None:
            self._lag.set(received_ns / 1e9 - sent_ms / 1e3)

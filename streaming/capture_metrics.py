"""The metrics of the capture log and its disk; each series exists from the process's start at 0."""

from prometheus_client import Counter, Gauge, Histogram

DROPPED_TYPES = ("ticker", "orderbook", "trade", "lifecycle", "control", "unknown")
_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5)

UNSYNCED_SECONDS = Gauge(
    "ssmd_connector_capture_unsynced_seconds",
    "Age of the oldest record not yet forced to the disk",
    ["feed"],
)
EXPOSED_SECONDS = Histogram(
    "ssmd_connector_capture_exposed_seconds",
    "Age that the oldest record had reached when it was on the disk",
    ["feed"],
    buckets=_SECONDS,
)
SYNC_FAILURES = Counter(
    "ssmd_connector_capture_sync_failures_total", "Segments abandoned because the disk failed", ["feed"]
)
LOG_BYTES = Gauge("ssmd_connector_capture_log_bytes", "Capture logs of the environment", ["feed"])
LOG_SEGMENTS = Gauge("ssmd_connector_capture_log_segments", "Their segments", ["feed"])
ROOM_BYTES = Gauge(
    "ssmd_connector_capture_room_bytes", "What may be written before the disk or its cap is full", ["feed"]
)
POLICY = Gauge(
    "ssmd_connector_capture_policy",
    "What is dropped for want of room: 0 nothing, 1 ticker, 2 and order books, 3 and trades",
    ["feed"],
)
DROPPED = Counter("ssmd_connector_capture_dropped_total", "Frames dropped for want of room", ["feed", "type"])
TRIMMED = Counter(
    "ssmd_connector_capture_trimmed_records_total",
    "Records deleted to make room that were shipped and not published",
    ["feed"],
)
LOOP_LAG = Histogram(
    "ssmd_connector_loop_lag_seconds", "How late the event loop came", ["feed"], buckets=_SECONDS
)
CLOCK_STEPS = Counter("ssmd_connector_clock_steps_total", "Times that the wall clock was set", ["feed"])
LOST_RECORDS = Counter(
    "ssmd_capture_lost_records_total",
    "Records that could not be read from a damaged log, by whoever mended it; a gap row owns up to them",
)


def init_capture(feed: str) -> None:
    """Give every series its 0."""
    for gauge in (UNSYNCED_SECONDS, LOG_BYTES, LOG_SEGMENTS, ROOM_BYTES, POLICY):
        gauge.labels(feed).set(0)
    for counter in (SYNC_FAILURES, TRIMMED, CLOCK_STEPS):
        counter.labels(feed)
    for histogram in (EXPOSED_SECONDS, LOOP_LAG):
        histogram.labels(feed)
    for kind in DROPPED_TYPES:
        DROPPED.labels(feed, kind)

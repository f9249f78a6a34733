"""The metrics of the market follower, each from its start at 0."""

from prometheus_client import Counter, Gauge

KINDS = (
    "open", "closed", "halted", "created", "determined", "settled", "changed", "unknown", "disputed", "amended",
    "combination", "unreadable",
)  # fmt: skip
CHANGES = ("created", "status", "changed")
LOOKUP_RESULTS = ("found", "failed", "given_up")

EVENTS = Counter("ssmd_follower_events_total", "Lifecycle events taken in, by kind", ["feed", "kind"])
MARKET_CHANGES = Counter("ssmd_follower_changes_total", "Changes of markets, by kind", ["feed", "change"])
LATE = Counter("ssmd_follower_late_events_total", "Events older than what was known", ["feed"])
LAG = Gauge(
    "ssmd_follower_lag_seconds", "Age of the oldest event that was read and is not taken in", ["feed"]
)
PENDING = Gauge("ssmd_follower_pending_messages", "Lifecycle events on the bus that are not read", ["feed"])
HEALTHY = Gauge("ssmd_follower_healthy", "1 while the stream is there and read", ["feed"])
HOLES = Counter(
    "ssmd_follower_stream_holes_total", "Times that events were gone before they were read", ["feed"]
)
GAPS = Counter("ssmd_follower_gaps_total", "Gaps of the connector that may hide events", ["feed"])
NEW_LIVES = Counter(
    "ssmd_follower_new_lives_total", "Times that the stream's numbers meant something else", ["feed"]
)
RESTARTS = Counter("ssmd_follower_reader_restarts_total", "Consumers that broke", ["feed"])
SYNCS = Counter("ssmd_follower_syncs_total", "Syncs that answered missing events", ["feed"])
LOOKUPS = Counter("ssmd_follower_lookups_total", "Look-ups of markets, by result", ["feed", "result"])
LOOKUPS_WAITING = Gauge("ssmd_follower_lookups_waiting", "Look-ups that are not answered yet", ["feed"])
OUTBOX_DEPTH = Gauge("ssmd_follower_outbox_depth", "Changes that are not published yet", ["feed"])
PUBLISHED = Counter("ssmd_follower_published_total", "Changes acknowledged by the bus", ["feed"])
EXPIRED = Counter("ssmd_follower_expired_total", "Changes that nobody published for three days", ["feed"])
DATABASE_RETRIES = Counter(
    "ssmd_follower_database_retries_total", "Transactions that were tried again", ["feed"]
)
_PLAIN = (
    LATE, LAG, PENDING, HEALTHY, HOLES, GAPS, NEW_LIVES, RESTARTS, SYNCS, LOOKUPS_WAITING, OUTBOX_DEPTH, PUBLISHED,
    EXPIRED, DATABASE_RETRIES,
)  # fmt: skip


def init_follower(feed: str) -> None:
    """Give every series of the follower its 0."""
    for metric in _PLAIN:
        metric.labels(feed)
    for kind in KINDS:
        EVENTS.labels(feed, kind)
    for change in CHANGES:
        MARKET_CHANGES.labels(feed, change)
    for result in LOOKUP_RESULTS:
        LOOKUPS.labels(feed, result)

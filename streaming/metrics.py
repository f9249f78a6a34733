"""The metrics of all processes: names are fixed, and every series exists from a process's start at 0.

A process calls `init_connector(feed)` and its like once, counts, and serves what it has with `serve_metrics(port)`.
"""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from registry.refusal import ExitCode, Reason, Refused

MESSAGE_TYPES = ("trade", "orderbook", "ticker", "lifecycle", "control", "unknown")
CONNECTOR_ERRORS = (
    "parse", "connect", "venue", "sequence", "publish", "bus", "capture", "auth", "watchdog", "wire_drift",
)  # fmt: skip
SENT_TYPES = ("trade", "orderbook", "ticker", "status", "gap", "delta", "heartbeat", "ack", "error")
BUS_REASONS = ("full", "no_stream", "drift", "old_server", "authorization", "permission", "other")
BUCKETS = ("raw", "normalized")
STORE_CALLS = ("put", "get", "head", "list", "delete", "verify", "clean")
STORE_RESULTS = ("ok", "missing", "other", "failed", "retried")

# --- connector -----------------------------------------------------------------------------------------------
CONNECTOR_RECEIVED = Counter("ssmd_connector_messages_received_total", "Frames received", ["feed", "type"])
CONNECTOR_PUBLISHED = Counter(
    "ssmd_connector_messages_published_total", "Events acknowledged by the bus", ["feed"]
)
CONNECTOR_LAG = Gauge(
    "ssmd_connector_lag_seconds", "Receive time minus the venue's send or event time", ["feed"]
)
CONNECTOR_ERRORS_TOTAL = Counter(
    "ssmd_connector_errors_total", "What went wrong, by kind", ["feed", "error_type"]
)
CONNECTOR_CONNECTED = Gauge("ssmd_connector_connected", "Connections to the venue that stand", ["feed"])
CONNECTOR_RECONNECTS = Counter("ssmd_connector_reconnects_total", "Connections after the first", ["feed"])
CONNECTOR_GAPS_OPEN = Gauge("ssmd_connector_gaps_open", "Losses that go on", ["feed"])
CONNECTOR_GAPS = Counter("ssmd_connector_gaps_total", "Losses that began", ["feed"])
CONNECTOR_LAST_RECEIVED = Gauge(
    "ssmd_connector_last_received_timestamp_seconds", "When the last frame came (Unix)", ["feed"]
)
CONNECTOR_CAPTURE_LAST_N = Gauge("ssmd_connector_capture_last_n", "Last record in the capture log", ["feed"])
CONNECTOR_PUBLISHED_LAST_N = Gauge(
    "ssmd_connector_published_last_n", "Last record that is on the bus", ["feed"]
)
CONNECTOR_SYNC_SECONDS = Histogram(
    "ssmd_connector_capture_sync_seconds",
    "Forcing the capture log to disk",
    ["feed"],
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.5, 2),
)
CONNECTOR_BOOKS = Gauge("ssmd_connector_books", "Order books kept", ["feed"])
CONNECTOR_BOOKS_STALE = Gauge("ssmd_connector_books_stale", "Order books that wait for a snapshot", ["feed"])
CONNECTOR_BOOKS_WITHOUT_ROOM = Gauge(
    "ssmd_connector_books_without_room", "Wanted order books that no connection has room for", ["feed"]
)
CONNECTOR_TRADES_HEALED = Counter(
    "ssmd_connector_trades_healed_total", "Trades of losses that REST told and the stream had not", ["feed"]
)
CONNECTOR_CLOCK_SKEW = Gauge(
    "ssmd_connector_clock_skew_seconds",
    "This machine's clock minus the venue's, as of its last answer",
    ["feed"],
)

# --- connector: the bus ----------------------------------------------------------------------------------------
BUS_CONNECTED = Gauge("ssmd_connector_bus_connected", "1 while the bus is reached", ["feed"])
BUS_REFUSES = Gauge("ssmd_connector_bus_refuses", "1 while the bus refuses what it is given", ["feed"])
BUS_REFUSALS = Counter(
    "ssmd_connector_bus_refusals_total", "Times that the bus refused a message or us", ["feed", "reason"]
)
BUS_REPEATS = Counter(
    "ssmd_connector_bus_repeats_total", "Messages sent again because no acknowledgement came", ["feed"]
)
BUS_FILL = Gauge(
    "ssmd_connector_bus_fill_ratio",
    "Of the bytes that the stream may hold before it lets go the oldest",
    ["feed"],
)
BUS_RAW_SKIPPED = Counter(
    "ssmd_connector_bus_raw_skipped_total",
    "Frames that live readers of raw miss: the bus was slow or away",
    ["feed"],
)

# --- gateway -------------------------------------------------------------------------------------------------
GATEWAY_CLIENTS = Gauge("ssmd_gateway_clients_connected", "WebSocket clients")
GATEWAY_SENT = Counter("ssmd_gateway_messages_sent_total", "Messages sent to clients", ["type"])
GATEWAY_SUBSCRIPTIONS = Gauge(
    "ssmd_gateway_subscriptions_active", "Clients by symbol: the top ones and 'other'", ["symbol"]
)
GATEWAY_DROPPED = Counter("ssmd_gateway_clients_dropped_total", "Clients closed because they read too slowly")

# --- archive -------------------------------------------------------------------------------------------------
ARCHIVER_BYTES = Counter("ssmd_archiver_bytes_written_total", "Bytes put into an archive", ["bucket"])
ARCHIVER_FILES = Counter("ssmd_archiver_files_written_total", "Objects put into an archive", ["bucket"])
SHIPPER_RECORDS = Counter(
    "ssmd_shipper_records_total", "Capture log records committed as raw parts", ["feed"]
)
SHIPPER_LAG_RECORDS = Gauge("ssmd_shipper_lag_records", "Records read but not yet committed", ["feed"])
SHIPPER_LAG_SECONDS = Gauge(
    "ssmd_shipper_lag_seconds", "Age of the oldest record not yet committed", ["feed"]
)
SHIPPER_SESSIONS = Gauge("ssmd_shipper_sessions", "Session folders followed", ["feed"])
SHIPPER_BLOCKED = Gauge("ssmd_shipper_sessions_blocked", "Session folders that cannot be shipped", ["feed"])
SHIPPER_DAMAGED = Gauge(
    "ssmd_shipper_damaged_files", "What was kept of damaged segments, for somebody to look at", ["feed"]
)
SHIPPER_STORE_ERRORS = Counter(
    "ssmd_shipper_store_errors_total", "Store operations to be tried again", ["feed"]
)
STORE_OPERATIONS = Counter(
    "ssmd_store_operations_total",
    "Operations on a store of objects, by result",
    ["store", "operation", "result"],
)

# --- archiver: provisional normalized parts --------------------------------------------------------------------
ARCHIVER_RECORDS = Counter(
    "ssmd_archiver_records_total", "Events committed in provisional parts", ["feed", "type"]
)
ARCHIVER_LAG = Gauge(
    "ssmd_archiver_lag_seconds", "Age of the oldest message on the bus that is not archived", ["feed"]
)
ARCHIVER_RETENTION_USED = Gauge(
    "ssmd_archiver_retention_used_ratio",
    "That age in relation to how long the bus keeps a message: at 1 it is lost to the provisional parts",
    ["feed"],
)
ARCHIVER_BEHIND = Gauge("ssmd_archiver_pending_messages", "Messages of the stream not read yet", ["feed"])
ARCHIVER_POSITION = Gauge("ssmd_archiver_position", "Up to which message the stream is archived", ["feed"])
ARCHIVER_HEALTHY = Gauge("ssmd_archiver_healthy", "1 while the stream is there and read", ["feed"])
ARCHIVER_POISON = Counter(
    "ssmd_archiver_poison_messages_total", "Messages put into quarantine, as they cannot be read", ["feed"]
)
ARCHIVER_HOLES = Counter(
    "ssmd_archiver_stream_holes_total", "Times that messages were gone before they were read", ["feed"]
)
ARCHIVER_HOLE_MESSAGES = Counter(
    "ssmd_archiver_stream_hole_messages_total", "Messages gone before they were read", ["feed"]
)
ARCHIVER_NEW_LIVES = Counter(
    "ssmd_archiver_new_lives_total",
    "Times that a stream's numbers turned out to mean something else",
    ["feed"],
)
ARCHIVER_RESTARTS = Counter("ssmd_archiver_reader_restarts_total", "Consumers that broke", ["feed"])
ARCHIVER_CONFLICTS = Counter(
    "ssmd_archiver_conflicts_total", "Parts in whose place something else lay", ["feed"]
)
ARCHIVER_DAMAGED = Counter(
    "ssmd_archiver_damaged_manifests_total", "Manifests of provisional parts that cannot be read", ["feed"]
)
ARCHIVER_STORE_ERRORS = Counter(
    "ssmd_archiver_store_errors_total", "Store operations to be tried again", ["feed"]
)

_ARCHIVER = (
    ARCHIVER_LAG, ARCHIVER_RETENTION_USED, ARCHIVER_BEHIND, ARCHIVER_POSITION, ARCHIVER_HEALTHY, ARCHIVER_POISON, ARCHIVER_HOLES,
    ARCHIVER_HOLE_MESSAGES, ARCHIVER_NEW_LIVES, ARCHIVER_RESTARTS, ARCHIVER_CONFLICTS, ARCHIVER_DAMAGED,
    ARCHIVER_STORE_ERRORS,
)  # fmt: skip


def init_connector(feed: str) -> None:
    """Give every series of a connector its 0."""
    for kind in MESSAGE_TYPES:
        CONNECTOR_RECEIVED.labels(feed, kind)
    for error in CONNECTOR_ERRORS:
        CONNECTOR_ERRORS_TOTAL.labels(feed, error)
    for counter in (CONNECTOR_PUBLISHED, CONNECTOR_RECONNECTS, CONNECTOR_GAPS, CONNECTOR_TRADES_HEALED):
        counter.labels(feed)
    for gauge in (
        CONNECTOR_LAG,
        CONNECTOR_CONNECTED,
        CONNECTOR_GAPS_OPEN,
        CONNECTOR_LAST_RECEIVED,
        CONNECTOR_CAPTURE_LAST_N,
        CONNECTOR_PUBLISHED_LAST_N,
        CONNECTOR_BOOKS,
        CONNECTOR_BOOKS_STALE,
        CONNECTOR_BOOKS_WITHOUT_ROOM,
        CONNECTOR_CLOCK_SKEW,
    ):
        gauge.labels(feed)
    CONNECTOR_SYNC_SECONDS.labels(feed)
    init_bus(feed)


def init_bus(feed: str) -> None:
    """Give every series of a connector's bus its 0."""
    for gauge in (BUS_CONNECTED, BUS_REFUSES, BUS_FILL):
        gauge.labels(feed)
    for counter in (BUS_REPEATS, BUS_RAW_SKIPPED):
        counter.labels(feed)
    for reason in BUS_REASONS:
        BUS_REFUSALS.labels(feed, reason)


def init_gateway() -> None:
    """Give every series of a gateway its 0."""
    for kind in SENT_TYPES:
        GATEWAY_SENT.labels(kind)
    GATEWAY_SUBSCRIPTIONS.labels("other")


def init_archive(feed: str) -> None:
    """Give every series of the shipper and the archiver its 0."""
    for bucket in BUCKETS:
        ARCHIVER_BYTES.labels(bucket)
        ARCHIVER_FILES.labels(bucket)
    for counter in (SHIPPER_RECORDS, SHIPPER_STORE_ERRORS):
        counter.labels(feed)
    for gauge in (
        SHIPPER_LAG_RECORDS,
        SHIPPER_LAG_SECONDS,
        SHIPPER_SESSIONS,
        SHIPPER_BLOCKED,
        SHIPPER_DAMAGED,
    ):
        gauge.labels(feed)


def init_store(kind: str) -> None:
    """Give every series of a kind of store (directory, s3) its 0."""
    for operation in STORE_CALLS:
        for result in STORE_RESULTS:
            STORE_OPERATIONS.labels(kind, operation, result)


def init_archiver(feed: str) -> None:
    """Give every series of the archiver its 0."""
    ARCHIVER_BYTES.labels("normalized")
    ARCHIVER_FILES.labels("normalized")
    for kind in ("trade", "orderbook", "status", "ticker", "gap"):
        ARCHIVER_RECORDS.labels(feed, kind)
    for metric in _ARCHIVER:
        metric.labels(feed)


def serve_metrics(port: int | None) -> int:
    """Serve /metrics on 127.0.0.1 from a thread of its own; 0 or None is off. Returns the port; raises Refused."""
    if not port:
        return 0
    try:
        server, _ = start_http_server(port, addr="127.0.0.1")
    except (OSError, OverflowError) as error:
        problem = f"/metrics cannot be served on port {port}: {getattr(error, 'strerror', None) or error}"
        remedy = "Choose another --metrics-port, or leave it out."
        raise Refused([Reason(problem, remedy)], exit_code=ExitCode.CONFLICT) from error
    return int(server.server_port)

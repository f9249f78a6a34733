"""Is this process well: each thing it needs, asked now."""

import time
from datetime import UTC, datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from ssmd.gateway import current_hub
from streaming.hub import Hub

QUIET_SECONDS = 60.0  # without any message of the feed: worth a look


def health() -> dict[str, Any]:
    """`status` is ok, or degraded where a component is down or no data come."""
    components = {"database": _database(), **_stream(current_hub())}
    is_ok = all(component["status"] in ("ok", "off") for component in components.values())
    return {
        "status": "ok" if is_ok else "degraded",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "components": components,
    }


def _database() -> dict[str, Any]:
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return {"status": "down", "detail": str(error).strip().splitlines()[0]}
    return {
        "status": "ok",
        "vendor": connection.vendor,
        "milliseconds": round(1000 * (time.monotonic() - started), 1),
    }


def _stream(hub: Hub | None) -> dict[str, dict[str, Any]]:
    if hub is None:
        detail = "This process streams no environment: `ssmd gateway start --env NAME` does."
        return {"nats": {"status": "off", "detail": detail}, "data": {"status": "off"}}
    is_live = hub.state == "live"
    bus: dict[str, Any] = {"status": "ok" if is_live else "down", "stream": hub.serving.stream}
    if is_live:
        bus["seq"] = hub.seq
    else:
        bus["detail"] = hub.why_stale
    return {"nats": bus, "data": _data(hub)}


def _data(hub: Hub) -> dict[str, Any]:
    age = None if hub.last_message_at is None else time.time() - hub.last_message_at
    is_quiet = age is None or age > QUIET_SECONDS
    return {
        "status": "quiet" if is_quiet else "ok",
        "feed": hub.serving.feed,
        "environment": hub.serving.environment,
        "simulated": hub.serving.simulated,
        "last_message_age_seconds": None if age is None else round(age, 3),
        "messages": dict(hub.received),
        "clients": len(hub.fanout.clients),
    }

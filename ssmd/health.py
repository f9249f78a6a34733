"""Is this process well: each thing it needs, asked now."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection

from registry.listing import rfc3339
from registry.models import DataGap
from ssmd.gateway import current_hub
from streaming.hub import Hub

QUIET_SECONDS = 15.0  # without market data: worth a look
_MOST_GAPS = 5
_FINE = ("ok", "off", "waiting")


def health() -> dict[str, Any]:
    """`status` is ok, or degraded where a component is down or no data come."""
    components = {"database": _database(), **_stream(current_hub())}
    is_ok = all(component["status"] in _FINE for component in components.values())
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
    now = time.time()
    last = hub.last_market_data_at
    gaps = _open_gaps(hub.serving.feed)
    silent_for = now - (hub.started_at if last is None else last)
    if hub.state == "live":
        status, detail = judge(gaps, silent_for=silent_for, is_first_awaited=last is None)
    else:
        status, detail = "unknown", "the bus cannot be read now"
    return {
        "status": status,
        "detail": detail,
        "capturing": last is not None and silent_for < QUIET_SECONDS,
        "feed": hub.serving.feed,
        "environment": hub.serving.environment,
        "simulated": hub.serving.simulated,
        "market_data_age_seconds": None if last is None else round(now - last, 3),
        "market_data_messages": hub.market_data_count,
        "open_gaps": [_gap_document(gap) for gap in gaps[:_MOST_GAPS]],
        "messages": dict(hub.received),
        "clients": len(hub.fanout.clients),
    }


def _open_gaps(feed: str) -> list[DataGap]:
    """Losses that go on, the latest first; none where the registry cannot be asked: `database` says so."""
    try:
        return list(
            DataGap.objects.filter(feed__name=feed, resolved=False).open().order_by("-gap_start", "-id")
        )
    except DatabaseError:
        return []


def judge(gaps: Sequence[DataGap], *, silent_for: float, is_first_awaited: bool) -> tuple[str, str]:
    """(status, in words): an unplanned loss first, then silence; `silent_for` seconds without market data."""
    unplanned = [gap for gap in gaps if not gap.planned]
    silence = f"no market data for {silent_for:.0f} s"
    if unplanned:
        also = f"; {silence}" if silent_for >= QUIET_SECONDS else ""
        return "gap_open", _in_words(unplanned) + also
    if silent_for < QUIET_SECONDS:
        return ("waiting", "no market data yet") if is_first_awaited else ("ok", "market data come")
    if gaps:
        return "stopped", f"{silence}: capturing was stopped on purpose at {_since(gaps[0])}"
    return "quiet", f"{silence}, and no loss is known: the exchange may be quiet, or no connector runs"


def _in_words(gaps: Sequence[DataGap]) -> str:
    latest = gaps[0]
    more = f" ({len(gaps)} gaps are open)" if len(gaps) > 1 else ""
    concerned = f" of {len(latest.symbols)} markets" if latest.symbols else ""
    return f"{latest.gap_type}{concerned} since {_since(latest)}{more}"


def _since(gap: DataGap) -> str:
    return f"{gap.gap_start.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _gap_document(gap: DataGap) -> dict[str, Any]:
    return {
        "cause": gap.gap_type,
        "since": rfc3339(gap.gap_start),
        "planned": gap.planned,
        "fault": gap.fault,
        "markets": len(gap.symbols) or None,  # None: the whole feed
        "session": gap.session,
    }

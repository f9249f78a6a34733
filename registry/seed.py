"""What a new registry is filled with: the venue's feeds and our schemas, as plain values. Pure."""

from datetime import date, time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

SIM_ENDPOINT = "ws://127.0.0.1:8010/trade-api/ws/v2"
SIM_SECRET = "sealed-secret/kalshi-sim-creds"  # noqa: S105 - a reference

# The older host served all of 2025; its first day is not documented, this one precedes every known recording.
_OLDER_HOST_FROM = date(2025, 1, 1)
# The venue recommends its present hosts since this day (kalshi.md 1).
_PRESENT_HOST_FROM = date(2026, 5, 7)

_CAPABILITIES = {
    "auth_method": "api_key",
    "supports_orderbook": True,
    "supports_trades": True,
    "max_symbols_per_connection": 500_000,  # market subscriptions of one session (kalshi.md 3.1)
    "rate_limit_per_second": 20,  # GETs of the lowest tier (kalshi.md 5)
}

KALSHI = {
    "display_name": "Kalshi",
    "description": "Prediction market",
    "feed_type": "websocket",
    "venue": "kalshi",
}
KALSHI_SIM = {
    "display_name": "Kalshi (simulated)",
    "description": "Simulated exchange on this machine, in Kalshi's dialect",
    "feed_type": "websocket",
    "venue": "kalshi",
    "simulated": True,
}


def rest_endpoint(websocket: str) -> str:
    """The REST base URL beside a WebSocket endpoint, by the venue's hosts and paths (kalshi.md 1)."""
    parts = urlsplit(websocket)
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    host = parts.netloc.replace("external-api-ws.", "external-api.", 1)
    return urlunsplit((scheme, host, parts.path.replace("/trade-api/ws/v2", "/trade-api/v2"), "", ""))


def reached_by(websocket: str) -> dict[str, Any]:
    """The columns that follow from an endpoint."""
    return {
        "protocol": urlsplit(websocket).scheme,
        "endpoint_template": websocket,
        "parser_config": {"rest_endpoint": rest_endpoint(websocket)},
    }


def kalshi_versions() -> list[dict[str, Any]]:
    """The real feed: its older host, then its present one."""
    secret = {"secret_ref": "sealed-secret/kalshi-creds"}
    older = {
        "version": "v1",
        "effective_from": _OLDER_HOST_FROM,
        "effective_to": _PRESENT_HOST_FROM,
        **reached_by("wss://api.elections.kalshi.com/trade-api/ws/v2"),
    }
    present_host = reached_by("wss://external-api-ws.kalshi.com/trade-api/ws/v2")
    present = {
        "version": "v2",
        "effective_from": _PRESENT_HOST_FROM,
        **present_host,
        # Without a mapper each day is read by its own wire, as in the older version's time, which saw three.
        "parser_config": {**present_host["parser_config"], "mapper": "kalshi-fp"},
        "supports_historical": True,
        # Sent always: the venue announced that its default will flip (kalshi.md 3.2).
        "subscribe_params": {"use_yes_price": False},
    }
    return [{**_CAPABILITIES, **secret, **older}, {**_CAPABILITIES, **secret, **present}]


def simulated_version(websocket: str) -> dict[str, Any]:
    """The simulated feed, in force since the first day of which it may replay a recording."""
    return {
        **_CAPABILITIES,
        "version": "v1",
        "effective_from": _OLDER_HOST_FROM,
        **reached_by(websocket),
        "secret_ref": SIM_SECRET,
        "subscribe_params": {"use_yes_price": False},
    }


_THURSDAY = 3
_CALENDAR = {
    # It precedes every known recording; when the venue began to trade around the clock is not documented.
    "effective_from": _OLDER_HOST_FROM,
    "timezone": "America/New_York",
    "holiday_calendar": "crypto_247",
}
# Every week trading pauses in these hours; books stay (kalshi.md 4.8).
_MAINTENANCE = {
    "weekday": _THURSDAY,
    "start_time": time(3),
    "end_time": time(5),
    "note": "Weekly maintenance: trading pauses, orders may be cancelled, books stay.",
}
# By feed: around the clock, without holidays; the simulated exchange needs no maintenance.
CALENDARS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "kalshi": (_CALENDAR, [_MAINTENANCE]),
    "kalshi-sim": (_CALENDAR, []),
}

_V1_FROM = date(2025, 1, 1)
_V2_FROM = date(2026, 11, 1)
_ROUNDED = "For a v1 reader: size is rounded up to whole contracts (0.5 must not read as 0)."
_DELTAS = _ROUNDED + " A v1 reader cannot tell a delta from a snapshot."
_STATUSES = "For a v1 reader: statuses beyond open, closed and halted are unknown numbers."


def schemas(text_v1: str, text_v2: str) -> list[dict[str, Any]]:
    """The Cap'n Proto schemas: both versions stand in one file each, whose text is what is registered."""
    v1 = {"version": "v1", "status": "active", "effective_from": _V1_FROM, "schema_definition": text_v1}
    v2 = {"version": "v2", "status": "active", "effective_from": _V2_FROM, "schema_definition": text_v2}
    both = ["v1", "v2"]
    return [
        {"name": "trade", **v1, "compatible_with": both, "breaking_changes": None},
        {"name": "orderbook", **v1, "compatible_with": both, "breaking_changes": None},
        {"name": "market_status", **v1, "compatible_with": both, "breaking_changes": None},
        {"name": "trade", **v2, "compatible_with": both, "breaking_changes": _ROUNDED},
        {"name": "orderbook", **v2, "compatible_with": both, "breaking_changes": _DELTAS},
        {"name": "market_status", **v2, "compatible_with": both, "breaking_changes": _STATUSES},
        {"name": "ticker", **v2, "compatible_with": ["v2"], "breaking_changes": None},
    ]

"""What REST says of the exchange itself and of an account (kalshi.md 4.8, 5, 10); pure."""

from typing import Any

from streaming.kalshi.simulator.frames import rfc3339
from streaming.kalshi.simulator.rules import Rules

EXCHANGE_STATUS: dict[str, Any] = {
    "exchange_active": True,
    "trading_active": True,
    "intra_exchange_transfers_active": True,
    "exchange_index_statuses": [
        {
            "exchange_index": 0,
            "description": "Simulated exchange",
            "exchange_active": True,
            "trading_active": True,
            "intra_exchange_transfers_active": True,
        }
    ],
}
_ALL_DAY = [{"open_time": "00:00", "close_time": "00:00"}]
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EXCHANGE_SCHEDULE = {
    "schedule": {
        "standard_hours": [
            {
                "start_time": "2025-01-01T00:00:00Z",
                "end_time": "2035-01-01T00:00:00Z",
                **dict.fromkeys(_DAYS, _ALL_DAY),
            }
        ],
        "maintenance_windows": [],
    }
}
BALANCE = {
    "balance": 9801,
    "balance_breakdown": [{"balance": "98.0186", "exchange_index": 0}],
    "balance_dollars": "98.0186",
    "portfolio_value": 198,
}
COST = 10  # tokens a request


def limits(rate: float, capacity: float) -> dict[str, Any]:
    """The token buckets of an account."""
    read = {"bucket_capacity": round(capacity), "refill_rate": round(rate)}
    return {
        "grants": [],
        "read": read,
        "usage_tier": "basic",
        "write": {"bucket_capacity": 100, "refill_rate": 100},
    }


ENDPOINT_COSTS = {
    "default_cost": COST,
    "endpoint_costs": [{"cost": 2, "method": "GET", "path": "/trade-api/v2/portfolio/orders/:order_id"}],
}


def status(rules: Rules) -> dict[str, Any]:
    """Whether it trades; when down it says so under another status (kalshi.md 4.8, 10)."""
    if not rules.is_paused:
        return EXCHANGE_STATUS
    is_down = rules.paused_status >= 500
    stands = {"trading_active": False, "exchange_active": not is_down}
    resumes = {"exchange_estimated_resume_time": rfc3339(rules.resumes_us)} if rules.resumes_us else {}
    indexes = [{**one, **stands} for one in EXCHANGE_STATUS["exchange_index_statuses"]]
    return {**EXCHANGE_STATUS, **stands, **resumes, "exchange_index_statuses": indexes}

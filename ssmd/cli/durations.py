"""Times and durations for people."""

from datetime import UTC, datetime


def lasting(seconds: float) -> str:
    """`2.500 s` below a minute, then `12m31s` and `1h02m03s`."""
    if seconds < 60:
        return f"{seconds:.3f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s"


def clock(ns: int) -> str:
    """The UTC time of day of an instant in Unix ns, to the second below."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%H:%M:%SZ}"

"""What the venue's answer to a WebSocket handshake means, and how far its clock is from ours."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from websockets.exceptions import InvalidStatus

from registry.refusal import ExitCode, Reason, Refused
from streaming import metrics

LONGEST_RETRY_AFTER_SECONDS = 600.0
_REFUSED_KEY = (401, 403)
_RATE_LIMITED = 429


def status_of(error: Exception) -> int | None:
    """The HTTP status; None where there was no answer at all."""
    return error.response.status_code if isinstance(error, InvalidStatus) else None


def cause_of(error: Exception) -> str:
    """The gap's cause while the venue answers like this."""
    status = status_of(error)
    if status in _REFUSED_KEY:
        return "auth_failed"
    return "rate_limited" if status == _RATE_LIMITED else "connection_lost"


def retry_after(error: Exception) -> float:
    """The seconds that the venue asked us to stay away; 0 where it did not."""
    if not isinstance(error, InvalidStatus):
        return 0.0
    text = error.response.headers.get("Retry-After", "")
    return min(float(text), LONGEST_RETRY_AFTER_SECONDS) if text.isascii() and text.isdigit() else 0.0


def skew_of(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Our clock minus the venue's in seconds, to the half second that a Date header allows; None without one."""
    try:
        return round(now_s - parsedate_to_datetime(headers.get("Date", "")).timestamp() - 0.5, 1)
    except (TypeError, ValueError):
        return None


def skew_seconds(error: Exception) -> float | None:
    """The same of a refusal; None where there was no answer."""
    return skew_of(error.response.headers, now_s=time.time()) if isinstance(error, InvalidStatus) else None


def note_skew(feed: str, seconds: float | None) -> None:
    """Show it; a venue refuses signatures whose time is off by more than some ten seconds."""
    if seconds is not None:
        metrics.CONNECTOR_CLOCK_SKEW.labels(feed).set(seconds)


def key_refused(error: Exception, *, endpoint: str, key_id: str) -> Refused:
    """Tell the operator, in the venue's own words."""
    said = bytes(error.response.body or b"") if isinstance(error, InvalidStatus) else b""
    quoted = said[:300].decode(errors="replace").strip()
    remedy = "Put the right api_key and api_secret where the environment's secret points to; check this machine's clock."
    skew = skew_seconds(error)
    clock = f"; this clock is {skew:+.1f} s off the venue's" if skew is not None and abs(skew) > 2 else ""
    problem = f"{endpoint} refused the key {key_id}: {status_of(error)} {quoted}{clock}"
    return Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION)

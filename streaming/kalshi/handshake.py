"""What a refused WebSocket handshake means: pure readings of the venue's HTTP answer."""

from websockets.exceptions import InvalidStatus

from registry.refusal import ExitCode, Reason, Refused

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


def key_refused(error: Exception, *, endpoint: str, key_id: str) -> Refused:
    """Tell the operator, in the venue's own words."""
    said = bytes(error.response.body or b"") if isinstance(error, InvalidStatus) else b""
    quoted = said[:300].decode(errors="replace").strip()
    remedy = "Put the right api_key and api_secret where the environment's secret points to; check this machine's clock."
    problem = f"{endpoint} refused the key {key_id}: {status_of(error)} {quoted}"
    return Refused([Reason(problem, remedy)], exit_code=ExitCode.PERMISSION)

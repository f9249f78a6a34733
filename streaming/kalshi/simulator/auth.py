"""Who may come in: the signed headers and the refusals, verbatim from recordings (kalshi.md 2.3); pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streaming.kalshi.signing import KEY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, is_signed_by

Body = dict[str, Any]
HEADERS = (KEY_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER)
MISSING: Body = {
    "error": {"code": "signature_is_missing_from_headers", "message": "signature is missing from headers"}
}
EXPIRED: Body = {"error": {"code": "header_timestamp_expired", "message": "header timestamp expired"}}


def _authentication_error(details: str) -> Body:
    return {"error": {"code": "authentication_error", "message": "authentication_error", "details": details}}


UNKNOWN_KEY = _authentication_error("NOT_FOUND")
BAD_SIGNATURE = _authentication_error("INCORRECT_API_KEY_SIGNATURE")


@dataclass(frozen=True, slots=True)
class Door:
    """Whose signatures open; without keys, anybody who sends the headers comes in."""

    public_keys: Mapping[str, str]
    skew_ms: int = 15_000

    def refusal(
        self, headers: Mapping[str, str], *, method: str, path: str, now_ms: int, is_strict: bool = False
    ) -> Body | None:
        """The body of the 401, or None for welcome; `is_strict` looks at the clock without keys, too."""
        key_id, timestamp, signature = (headers.get(name, "") for name in HEADERS)
        if not (key_id and timestamp and signature):
            return MISSING
        if not self.public_keys and not is_strict:
            return None
        if not timestamp.isdecimal() or abs(int(timestamp) - now_ms) > self.skew_ms:
            return EXPIRED
        if not self.public_keys:
            return None
        if key_id not in self.public_keys:
            return UNKNOWN_KEY
        signed = is_signed_by(
            self.public_keys[key_id], method=method, path=path, timestamp=timestamp, signature=signature
        )
        return None if signed else BAD_SIGNATURE


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether the client tried to sign at all."""
    return any(name in headers for name in HEADERS)

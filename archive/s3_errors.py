"""What an S3 store's refusal means for us: try again, ask the operator, or an answer in itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from archive.objects import ObjectMissing, StoreError
from archive.retry import Transient
from registry.refusal import ExitCode, Reason

# What arrived is not what boto3 wrote: the network or a proxy spoiled it.
_SPOILED = frozenset(
    {
        "BadDigest",
        "IncompleteBody",
        "XAmzContentSHA256Mismatch",
        "XAmzContentChecksumMismatch",
        "MalformedXML",
    }
)
_AGAIN = _SPOILED | {
    "InternalError",
    "OperationAborted",
    "ConditionalRequestConflict",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "NoSuchUpload",  # somebody cleared it away, or an answer was lost: the upload begins anew
}
_AGAIN_STATUS = frozenset({408, 409, 429, 500, 502, 503, 504})


class Exists(Exception):
    """The condition did not hold: something lies at that key (412)."""


class OutOfRange(Exception):
    """The object ends before the part that was asked for (416)."""


class Rejected(StoreError):
    """The store will not do it, however often it is asked; `reason` says what would be right."""

    def __init__(
        self, reason: Reason, *, exit_code: ExitCode = ExitCode.UNAVAILABLE, status: int = 0
    ) -> None:
        super().__init__(f"{reason.problem}. {reason.remedy}")
        self.reason, self.exit_code, self.status = reason, exit_code, status


class Denied(Rejected):
    """The credentials are not accepted: others may be by now."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as the store gave it; HEAD has no body, so its code is only the status."""

    code: str
    status: int
    message: str
    headers: Mapping[str, str]

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the store asks for a wait in seconds."""
        text = self.headers.get("retry-after", "")
        return float(text) if text.isdigit() else None


def error_from(answer: Answer, *, where: str, what: str) -> Exception:
    """The exception for an error answer; `where` names bucket and endpoint, `what` the operation and key."""
    told = f"{what}: {where} answers {answer.status} {answer.code}"
    if answer.status == 412:
        return Exists(told)
    if answer.status == 416:
        return OutOfRange(told)
    if answer.code in _AGAIN or answer.status in _AGAIN_STATUS:
        return Transient(told, retry_after=answer.retry_after, status=answer.status)
    if answer.code == "NoSuchKey":
        return ObjectMissing(what)
    if answer.status == 404 and answer.code != "NoSuchBucket":
        # Not the store's own word for it: nothing may conclude that the object is gone.
        return Transient(told, status=404)
    return _rejected(answer, told, where)


def _rejected(answer: Answer, told: str, where: str) -> Rejected:
    for codes, exit_code, problem, remedy in _REACTIONS:
        if answer.code in codes or (answer.status in (401, 403) and "403" in codes):
            kind = Denied if exit_code is ExitCode.PERMISSION else Rejected
            reason = Reason(f"{where}: {problem} ({answer.code})", remedy)
            return kind(reason, exit_code=exit_code, status=answer.status)
    return Rejected(
        Reason(f"{told}: {answer.message[:200]}", "See the store's own log."), status=answer.status
    )


_NEW_SECRET = "Put the right access_key and secret_key into the secret that spec.secrets names as s3."  # noqa: S105
_REACTIONS = (
    (
        {"RequestTimeTooSkewed", "RequestExpired"},
        ExitCode.UNAVAILABLE,
        "this machine's clock and the store's differ too much",
        "Set both by NTP; a request is accepted within 15 minutes.",
    ),
    ({"InvalidAccessKeyId"}, ExitCode.PERMISSION, "the access key does not exist", _NEW_SECRET),
    (
        {"SignatureDoesNotMatch"},
        ExitCode.PERMISSION,
        "the secret key does not fit the access key",
        _NEW_SECRET,
    ),
    (
        {"ExpiredToken", "TokenRefreshRequired", "InvalidToken"},
        ExitCode.PERMISSION,
        "the credentials have expired",
        "Renew the secret that spec.secrets names as s3; it is read again by itself.",
    ),
    (
        {"NoSuchBucket"},
        ExitCode.UNAVAILABLE,
        "the bucket does not exist",
        "Create it, or correct spec.storage; ssmd makes no buckets.",
    ),
    (
        {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"},
        ExitCode.UNAVAILABLE,
        "the bucket lies in another region",
        "Set `region` beside the bucket in spec.storage.",
    ),
    (
        {"403"},
        ExitCode.PERMISSION,
        "access is denied, or the bucket does not exist",
        "Allow the key to list, read, write and delete in this bucket.",
    ),
)

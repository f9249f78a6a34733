"""What an S3 store can do is found out by asking it, once, before anything is entrusted to it.

Stores that say S3 differ: some overwrite in spite of If-None-Match, some store what does not fit its digest.
"""

import contextlib
from typing import Any

import structlog

from archive.objects import StoreError
from archive.retry import Budget, Transient
from archive.s3_connection import Connection
from archive.s3_errors import Denied, Exists, Rejected
from registry.refusal import ExitCode, Reason

log = structlog.get_logger()

# No feed's name begins so. The first stays for ever: where it is found, the condition was heeded.
PREFIX = "_probe/"
_CONDITION, _DIGEST = f"{PREFIX}condition", f"{PREFIX}digest"
_CONTENT = b"ssmd asks whether this store keeps its promises\n"


def probe(connection: Connection, budget: Budget) -> bool:
    """Whether the store verifies digests; refuses one that would overwrite."""
    with contextlib.suppress(Denied):  # without words; the put says what it is
        budget.run(connection.require_bucket)
    budget.run(lambda: _require_condition(connection))
    verifies = budget.run(lambda: _verifies_digest(connection))
    if not verifies:
        log.warning(
            "the store does not verify digests: each object is read back", store=str(connection.bucket)
        )
    return verifies


def _require_condition(connection: Connection) -> None:
    for _ in range(2):
        try:
            _put(connection, _CONDITION, _CONTENT, IfNoneMatch="*")
        except Exists:
            return
    reason = Reason(
        f"{connection.bucket} ignores If-None-Match: a second writer would overwrite an object unnoticed",
        "Use a store with conditional writes, such as AWS S3 or SeaweedFS, or a folder (`path`).",
    )
    raise Rejected(reason, exit_code=ExitCode.INVALID)


def _verifies_digest(connection: Connection) -> bool:
    try:
        _put(connection, _DIGEST, _CONTENT, **connection.digests(b"something else"))
    except (Transient, Rejected) as error:
        if error.status == 400:
            return True
        raise
    with contextlib.suppress(StoreError):  # without the right to delete it stays, and harms nobody
        connection.call("delete_object", Key=_DIGEST)
    return False


def _put(connection: Connection, key: str, data: bytes, **options: Any) -> None:
    answer = connection.call(
        "put_object", Key=key, Body=data, ContentType="application/octet-stream", **options
    )
    if not answer.get("ETag"):
        raise Transient(f"{connection.bucket} answers a put without an ETag")

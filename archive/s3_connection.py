"""One bucket by boto3: one attempt for each call, every answer looked at, every error one of ours.

boto3's own retries are off: the only budget is that of `archive.retry`. Secrets stay in boto3's client.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from archive.retry import Transient
from archive.s3_errors import Answer, Denied, Rejected, error_from
from registry.refusal import Reason, Refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = structlog.get_logger()

Credentials = Callable[[], tuple[str, str]]

_making_client = threading.Lock()
CONNECT_SECONDS, READ_SECONDS = 3.0, 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Where a bucket is and how its store is spoken to; `endpoint` is a URL."""

    name: str
    endpoint: str
    region: str = "us-east-1"
    path_style: bool = True
    checksums: str = "when_supported"
    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS

    def __str__(self) -> str:
        return f"bucket '{self.name}' at {self.endpoint}"


class Connection:
    """A bucket to call; asks for the credentials at its first call, and again when they are not accepted."""

    def __init__(self, bucket: Bucket, credentials: Credentials) -> None:
        self.bucket = bucket
        self._credentials = credentials
        self._lock = threading.Lock()
        self._used: tuple[str, str] | None = None
        self._client: S3Client | None = None

    def call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """boto3's method of that name, for this bucket."""
        client, used = self._connected()
        what = f"{operation} {arguments.get('Key', '')}".rstrip()
        try:
            answer: dict[str, Any] = getattr(client, operation)(Bucket=self.bucket.name, **arguments)
            return answer
        except ClientError as error:
            ours = error_from(_answer(error), where=str(self.bucket), what=what)
        except (BotoCoreError, ResponseParserError, OSError) as error:
            ours = Transient(f"{what}: {self.bucket}: {_without_url(error)}")
        if isinstance(ours, Denied) and self._has_new_credentials(used):
            raise Transient(f"{ours}: the secret has changed, trying with the new one")
        raise ours

    def read(self, operation: str, **arguments: Any) -> tuple[bytes, dict[str, Any]]:
        """The body and the answer; a body that breaks off or whose checksum is wrong is Transient."""
        answer = self.call(operation, **arguments)
        try:
            return answer["Body"].read(), answer
        except (BotoCoreError, OSError) as error:
            raise Transient(f"{operation} {arguments.get('Key', '')}: {_without_url(error)}") from None
        finally:
            answer["Body"].close()

    def require_bucket(self) -> None:
        """Raise Rejected where there is no bucket: a HEAD's 404 has no words for it."""
        try:
            self.call("head_bucket")
        except Transient as error:
            if error.status == 404:
                answer = Answer("NoSuchBucket", 404, "", {})
                raise error_from(answer, where=str(self.bucket), what="head_bucket") from None
            raise

    def digests(self, data: bytes) -> dict[str, str]:
        """The digest of a body in the form that the store takes."""
        if self.bucket.checksums == "when_supported":
            return {"ChecksumSHA256": _base64(hashlib.sha256(data).digest())}
        return {"ContentMD5": _base64(hashlib.md5(data, usedforsecurity=False).digest())}

    def _connected(self) -> tuple[S3Client, tuple[str, str]]:
        with self._lock:
            if self._used is None:
                self._used = self._credentials()
            if self._client is None:
                self._client = make_client(self.bucket, self._used)
            return self._client, self._used

    def _has_new_credentials(self, used: tuple[str, str]) -> bool:
        """Whether the secret says something else by now; one that cannot be read says nothing."""
        with self._lock, contextlib.suppress(Refused):
            if self._used == used and (fresh := self._credentials()) != used:
                self._used, self._client = fresh, None
        return self._used != used


@functools.cache
def _session() -> boto3.session.Session:
    """One for the process, since it reads its model of S3 but once; a user's ~/.aws and AWS_PROFILE say nothing here."""
    nothing = (None, None, os.devnull, None)
    settings = {"profile": (None, None, None, None), "config_file": nothing, "credentials_file": nothing}
    return boto3.session.Session(botocore_session=botocore.session.Session(session_vars=settings))


def make_client(bucket: Bucket, credentials: tuple[str, str]) -> S3Client:
    """boto3's client as we use it."""
    checksums: Any = bucket.checksums
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=bucket.connect_seconds,
        read_timeout=bucket.read_seconds,
        s3={"addressing_style": "path" if bucket.path_style else "virtual"},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        max_pool_connections=32,
    )
    with _making_client:  # boto3 makes one client at a time
        client = _session().client(
            "s3",
            endpoint_url=bucket.endpoint,
            region_name=bucket.region,
            aws_access_key_id=credentials[0],
            aws_secret_access_key=credentials[1],
            config=config,
        )
    client.meta.events.register_first(
        "before-parse.s3.*", lambda **given: _look_at(bucket, given["response_dict"])
    )
    return client


def _look_at(bucket: Bucket, answer: dict[str, Any]) -> None:
    """Refuse what no S3 store says: a way to elsewhere, or a web page."""
    status, headers = answer["status_code"], answer["headers"]
    if 300 <= status < 400:
        target = urlsplit(headers.get("location", "")).netloc or "another region"
        reason = Reason(
            f"{bucket} sends us to {target}, which nobody named",
            "Correct `endpoint` and `region` in spec.storage.",
        )
        raise Rejected(reason, status=status)
    is_page = "html" in headers.get("content-type", "") and "etag" not in headers
    if is_page and status < 500:
        reason = Reason(
            f"{bucket} answers {status} with a web page: no S3 store is there",
            "Correct `endpoint` in spec.storage: it is the address of the S3 interface itself.",
        )
        raise Rejected(reason, status=status)


def _answer(error: ClientError) -> Answer:
    told: Any = error.response.get("Error", {})
    meta: Any = error.response.get("ResponseMetadata", {})
    return Answer(
        code=str(told.get("Code", "")),
        status=int(meta.get("HTTPStatusCode", 0)),
        message=str(told.get("Message", "")),
        headers=meta.get("HTTPHeaders", {}),
    )


def _without_url(error: Exception) -> str:
    """The kind of trouble; the text of some holds the whole signed URL."""
    return f"{type(error).__name__}: {str(error).split('URL:')[0].strip()}"[:200]


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()

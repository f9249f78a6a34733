"""Large objects in parts: invisible until completed, completed only where nothing lies, aborted where it fails."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

from archive.objects import StoreError
from archive.retry import Budget, Transient
from archive.s3_connection import Connection

# S3's own least is 5 MiB; what is smaller goes in one request.
PART_BYTES = 16 * 1024 * 1024


def put_in_parts(
    connection: Connection, budget: Budget, part_bytes: int, about: dict[str, Any]
) -> Callable[..., None]:
    """A function that puts one object so; each part draws on the operation's budget."""

    def put(key: str, data: bytes, **condition: str) -> None:
        digests = {"ChecksumAlgorithm": "SHA256"} if connection.bucket.checksums == "when_supported" else {}
        begun = connection.call("create_multipart_upload", Key=key, **about, **digests)
        upload = begun.get("UploadId")
        if not upload:
            raise Transient(f"put {key}: {connection.bucket} gave no upload id")
        try:
            parts = [
                _put_part(connection, budget, key, upload, number, data[start : start + part_bytes])
                for number, start in enumerate(range(0, len(data), part_bytes), start=1)
            ]
            _complete(connection, key, upload, parts, condition)
        except BaseException:
            with contextlib.suppress(StoreError):  # what stays is aborted by `abort_stale_uploads`
                connection.call("abort_multipart_upload", Key=key, UploadId=upload)
            raise

    return put


def _put_part(
    connection: Connection, budget: Budget, key: str, upload: str, number: int, data: bytes
) -> dict[str, Any]:
    digests = connection.digests(data)

    def put() -> dict[str, Any]:
        answer = connection.call(
            "upload_part", Key=key, UploadId=upload, PartNumber=number, Body=data, **digests
        )
        if not answer.get("ETag"):
            raise Transient(f"put {key}: {connection.bucket} did not confirm part {number}")
        return answer

    answer = budget.run(put)
    sent = {name: value for name, value in digests.items() if name.startswith("Checksum")}
    return {"PartNumber": number, "ETag": answer["ETag"], **sent}


def _complete(
    connection: Connection, key: str, upload: str, parts: list[dict[str, Any]], condition: dict[str, str]
) -> None:
    """Never repeated by itself: after a lost answer or a conflict the caller looks, or begins anew."""
    answer = connection.call(
        "complete_multipart_upload",
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts},
        **condition,
    )
    if not answer.get("ETag"):
        raise Transient(f"put {key}: {connection.bucket} did not confirm the whole")


def stale_uploads(connection: Connection, before: datetime) -> list[tuple[str, str]]:
    """(key, upload id) of each upload that was begun before that time and is neither completed nor aborted."""
    found: list[tuple[str, str]] = []
    markers: dict[str, str] = {}
    while True:
        page = connection.call("list_multipart_uploads", **markers)
        uploads = page.get("Uploads", [])
        found += [(one["Key"], one["UploadId"]) for one in uploads if one["Initiated"] <= before]
        if not page.get("IsTruncated"):
            return found
        markers = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}

"""Objects in an S3 bucket, with the same promises as in a folder.

Each object carries its SHA-256 as metadata; the store verifies a digest while it takes the object in, or, if it turns
out that it does not, every object is read back. Operations share one budget of attempts and are safe to repeat.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import structlog

from archive.counted import counted
from archive.manifest import digest
from archive.objects import ObjectInfo, ObjectMissing, OtherContent, StoreError, checked_key, folder_of
from archive.retry import Budget, Patience, Transient
from archive.s3_connection import Bucket, Connection, Credentials
from archive.s3_errors import Exists, OutOfRange, Rejected
from archive.s3_probe import PREFIX, probe
from archive.s3_upload import PART_BYTES, put_in_parts, stale_uploads
from registry.refusal import Refused
from streaming import metrics

log = structlog.get_logger()

KIND = "s3"
_SHA = "sha256"
SAME_ANSWERS = 2  # after which wrong bytes are taken for the object's, not for the network's
T = TypeVar("T")


class Altered(Transient):
    """These bytes came, and the object was put with another SHA-256: altered on the way, or where it lies."""

    def __init__(self, key: str, data: bytes) -> None:
        super().__init__(f"get {key}: what came is not what was stored")
        self.data = data


class S3Store:
    """Objects in one bucket. Until the store has answered once, what the operator must mend is Refused."""

    def __init__(
        self,
        bucket: Bucket,
        credentials: Credentials,
        *,
        patience: Patience | None = None,
        part_bytes: int = PART_BYTES,
        page_keys: int = 1000,
    ) -> None:
        metrics.init_store(KIND)
        self._connection = Connection(bucket, credentials)
        self._patience = patience or Patience()
        self._part_bytes, self._page_keys = part_bytes, page_keys
        self._has_answered = False
        self._verifies_digest: bool | None = None
        self._probing = threading.Lock()

    def place(self, key: str) -> str:
        """Where an object, or all below a prefix, lies."""
        return f"s3://{self._connection.bucket.name}/{key}"

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Store an object; a repetition after a lost answer finds it there."""
        checked_key(key)
        return self._operation("put", lambda budget: self._put(key, data, budget))

    def get(self, key: str) -> bytes:
        """The object's content, as long as was said and with the SHA-256 that it was put with.

        Where other bytes come again and again, the object itself is another: as with a file whoever reads it finds out.
        """
        checked_key(key)
        attempt = self._until_settled(key)
        return self._operation("get", lambda budget: budget.run(attempt))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Part of the content; of a part only the length can be verified."""
        checked_key(key)
        return self._operation("get", lambda budget: budget.run(lambda: self._get_range(key, start, length)))

    def head(self, key: str) -> ObjectInfo | None:
        """The object's size, if there is one."""
        checked_key(key)
        found = self._operation("head", lambda budget: budget.run(lambda: self._head(key)))
        return None if found is None else ObjectInfo(key, int(found["ContentLength"]))

    def list(self, prefix: str) -> Iterator[str]:
        """All keys that begin with `prefix`, in order, whatever the store's own order is."""
        folder_of(prefix)
        keys = self._operation("list", lambda budget: self._list(prefix, budget))
        return iter(sorted(key for key in keys if not key.startswith(PREFIX)))

    def delete(self, key: str) -> None:
        """Remove the object."""
        checked_key(key)
        self._operation("delete", lambda budget: budget.run(lambda: self._delete(key)))

    def abort_stale_uploads(self, older_than: timedelta) -> tuple[str, ...]:
        """End the uploads in parts that were begun before that and never completed; returns their keys."""
        before = datetime.now(UTC) - older_than

        def abort(budget: Budget) -> tuple[str, ...]:
            found = budget.run(lambda: stale_uploads(self._connection, before))
            for upload in found:
                budget.run(partial(self._abort, *upload))
            return tuple(key for key, _ in found)

        return self._operation("clean", abort)

    def remove_leftovers(self, older_than: timedelta) -> int:
        """The same, counted."""
        return len(self.abort_stale_uploads(older_than))

    @property
    def verifies_digest(self) -> bool:
        """Whether the store refuses what does not fit its digest; asked once, before the first put."""
        return self._operation("verify", self._probed)

    def _operation(self, name: str, act: Callable[[Budget], T]) -> T:
        budget = Budget(self._patience, lambda error: _note(name, error))
        try:
            with counted(KIND, name):
                result = act(budget)
        except Rejected as error:
            if self._has_answered:
                raise
            raise Refused([error.reason], exit_code=error.exit_code) from None
        except (ObjectMissing, OtherContent):
            self._has_answered = True
            raise
        self._has_answered = True
        return result

    def _probed(self, budget: Budget) -> bool:
        with self._probing:
            if self._verifies_digest is None:
                self._verifies_digest = probe(self._connection, budget)
            return self._verifies_digest

    def _put(self, key: str, data: bytes, budget: Budget) -> bool:
        verifies = self._probed(budget)
        if len(data) <= self._part_bytes:
            return budget.run(lambda: self._settle(key, data, verifies, self._put_whole))
        put = put_in_parts(self._connection, budget, self._part_bytes, self._about(data))
        return budget.run(lambda: self._settle(key, data, verifies, self._unless_there(put)))

    def _unless_there(self, put: Callable[..., None]) -> Callable[..., None]:
        """A repetition must not send hundreds of megabytes to learn that they are there."""

        def look_and_put(key: str, data: bytes, **condition: str) -> None:
            if self._head(key) is not None:
                raise Exists(key)
            put(key, data, **condition)

        return look_and_put

    def _settle(self, key: str, data: bytes, verifies: bool, put: Callable[..., None]) -> bool:
        try:
            put(key, data, IfNoneMatch="*")
        except Exists:
            self._require_same(key, data, verifies)
            return False
        if not verifies:
            self._read_back(key, data)
        return True

    def _put_whole(self, key: str, data: bytes, **condition: str) -> None:
        digests = self._connection.digests(data)
        answer = self._connection.call(
            "put_object", Key=key, Body=data, **self._about(data), **digests, **condition
        )
        told = answer.get("ChecksumSHA256")
        if not answer.get("ETag") or (told and told != digests.get("ChecksumSHA256", told)):
            raise Transient(f"put {key}: {self._connection.bucket} did not confirm what was sent")

    def _about(self, data: bytes) -> dict[str, Any]:
        return {"Metadata": {_SHA: digest(data)}, "ContentType": "application/octet-stream"}

    def _require_same(self, key: str, data: bytes, verifies: bool) -> None:
        """412: somebody was first. We, when an answer was lost; a twin; or another writer."""
        found = self._head(key)
        if found is None:
            raise Transient(f"put {key}: it was there, and is not any more")
        told = found["Metadata"].get(_SHA)
        if told not in (None, digest(data)):
            raise OtherContent(f"{key} already holds something else")
        if told is None:
            if self._get(key) != data:
                raise OtherContent(f"{key} already holds something else")
        elif not verifies or found["ContentLength"] != len(data):
            self._read_back(key, data)

    def _read_back(self, key: str, data: bytes) -> None:
        """It says that it is ours; if its content is not, it was spoiled on the way, and is put right at once."""
        with counted(KIND, "verify"):
            stored, _ = self._connection.read("get_object", Key=key)
            if stored == data:
                return
            log.error(
                "an object was stored wrongly; it is put again", key=key, store=str(self._connection.bucket)
            )
            self._put_whole(key, data)
            raise Transient(f"put {key}: stored wrongly")

    def _until_settled(self, key: str) -> Callable[[], bytes]:
        """One attempt after the other."""
        came: list[bytes] = []

        def attempt() -> bytes:
            try:
                return self._get(key)
            except Altered as error:
                came.append(error.data)
                if came.count(error.data) < SAME_ANSWERS:
                    raise
                log.error("an object is not what it was put as", key=key, store=str(self._connection.bucket))
                return error.data

        return attempt

    def _get(self, key: str) -> bytes:
        return _whole(key, *self._connection.read("get_object", Key=key, ChecksumMode="ENABLED"))

    def _get_range(self, key: str, start: int, length: int) -> bytes:
        if length <= 0:
            if self._head(key) is None:
                raise ObjectMissing(key)
            return b""
        span = f"bytes={start}-{start + length - 1}"
        try:
            data, answer = self._connection.read("get_object", Key=key, Range=span)
        except OutOfRange:
            return b""
        if "ContentRange" not in answer:  # the whole object, as a store may answer
            return _whole(key, data, answer)[start : start + length]
        total = int(answer["ContentRange"].rpartition("/")[2])
        if len(data) != min(length, total - start):
            raise Transient(f"get {key}: {len(data)} bytes came instead of {min(length, total - start)}")
        return data

    def _head(self, key: str) -> dict[str, Any] | None:
        try:
            found = self._connection.call("head_object", Key=key)
        except ObjectMissing:
            return None
        except Transient as error:
            if error.status != 404:
                raise
            self._connection.require_bucket()  # a 404 without words: of the object, or of the bucket?
            return None
        if not found.get("ETag"):
            raise Transient(f"head {key}: {self._connection.bucket} answers without an ETag")
        return found

    def _list(self, prefix: str, budget: Budget) -> set[str]:
        keys: set[str] = set()
        token: dict[str, str] = {}
        while True:
            page = budget.run(partial(self._page, prefix, **token))
            keys.update(one["Key"] for one in page.get("Contents", []))
            if not page["IsTruncated"]:
                return keys
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _page(self, prefix: str, **token: str) -> dict[str, Any]:
        page = self._connection.call("list_objects_v2", Prefix=prefix, MaxKeys=self._page_keys, **token)
        has_more, following = page.get("IsTruncated"), page.get("NextContinuationToken")
        if has_more is None or (has_more and following in (None, token.get("ContinuationToken"))):
            raise Transient(f"list {prefix}: {self._connection.bucket} gave half an answer")
        return page

    def _delete(self, key: str) -> None:
        try:
            self._connection.call("delete_object", Key=key)
        except ObjectMissing:
            return

    def _abort(self, key: str, upload: str) -> None:
        try:
            self._connection.call("abort_multipart_upload", Key=key, UploadId=upload)
        except StoreError as error:
            if getattr(error, "status", 0) != 404:
                raise


def _whole(key: str, data: bytes, answer: dict[str, Any]) -> bytes:
    if not answer.get("ETag") or len(data) != answer["ContentLength"]:
        raise Transient(f"get {key}: what came is not what was stored")
    if answer["Metadata"].get(_SHA) not in (None, digest(data)):
        raise Altered(key, data)
    return data


def _note(operation: str, error: Transient) -> None:
    metrics.STORE_OPERATIONS.labels(KIND, operation, "retried").inc()
    log.warning("the store failed; trying again", operation=operation, error=str(error))

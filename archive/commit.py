"""Commits raw parts to a store, patiently: data first, then the manifest that makes them count."""

import threading
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import msgspec
import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from archive import manifest as manifests
from archive.layout import PartKey, parse_manifest_key, session_prefix
from archive.manifest import Part, PartManifest
from archive.raw import read_manifest
from archive.rows import put_rows
from archive.seal_manifest import planned
from archive.store import OtherContent, Store, StoreError, bind_owner
from streaming import failpoints, metrics

log = structlog.get_logger()

MAX_WAIT_SECONDS = 30


class Missing(NamedTuple):
    """Records that no committed part holds; `last_n` None: all from `first_n` on."""

    first_n: int
    last_n: int | None


class Committed(NamedTuple):
    """How far a session is in the store; the last of what is missing is its open end."""

    missing: tuple[Missing, ...]
    last_n: int
    connector_version: str


class Committer:
    """The store as a shipper uses it: every operation is tried for ever, until `halt` is set."""

    def __init__(self, store: Store, *, feed: str, environment: str, halt: threading.Event) -> None:
        self._store = store
        self._feed, self._environment = feed, environment
        self._retrying = Retrying(
            retry=retry_if_exception_type(StoreError),
            wait=wait_random_exponential(multiplier=0.2, max=MAX_WAIT_SECONDS),
            sleep=sleep_using_event(halt),
            stop=stop_when_event_set(halt),
            before_sleep=self._note,
            reraise=True,
        )

    def bind(self) -> None:
        """Make sure that this environment owns the feed's prefix."""
        self._retrying(bind_owner, self._store, self._feed, self._environment)

    def committed(self, session: str, *, first_n: int, days: Iterable[date]) -> Committed:
        """What the store holds and lacks from `first_n` on; what lay before it was trimmed, so it is there."""
        return self._retrying(self._committed, session, first_n, list(days))

    def commit(self, part: Part) -> None:
        """Store a part; repeating it does no harm. Raises StoreError only after `halt`."""
        failpoints.reach("shipper.before_data")
        manifest = self._retrying(self._put_data, part)
        failpoints.reach("shipper.after_data")
        self._retrying(self._put_manifest, manifest)
        failpoints.reach("shipper.after_manifest")
        metrics.ARCHIVER_BYTES.labels("raw").inc(manifest.stored_bytes)
        metrics.ARCHIVER_FILES.labels("raw").inc()
        metrics.SHIPPER_RECORDS.labels(self._feed).inc(manifest.rows)

    def _committed(self, session: str, first_n: int, days: list[date]) -> Committed:
        found = (key for on in days for key in self._store.list(session_prefix(self._feed, on, session)))
        parts = sorted(key for key in map(parse_manifest_key, found) if key is not None)
        missing = missing_between(first_n, parts)
        before = [part for part in parts if part.last_n < missing[0].first_n]
        version = read_manifest(self._store, before[-1]).connector_version if before else ""
        return Committed(missing, missing[-1].first_n - 1, version)

    def _put_data(self, part: Part) -> PartManifest:
        """What a shipper with another version of the compressor left without manifest is taken if its lines are the same."""
        put = put_rows(self._store, planned(part.manifest), part.data)
        return msgspec.structs.replace(part.manifest, stored_bytes=put.stored_bytes, sha256=put.sha256)

    def _put_manifest(self, manifest: PartManifest) -> None:
        try:
            self._store.put_if_absent(manifest.key.manifest, manifests.encode(manifest))
        except OtherContent:
            if not manifests.same_rows(read_manifest(self._store, manifest.key), manifest):
                raise

    def _note(self, attempt: RetryCallState) -> None:
        metrics.SHIPPER_STORE_ERRORS.labels(self._feed).inc()
        error = attempt.outcome.exception() if attempt.outcome else None
        log.warning("the store failed; trying again", error=str(error), attempt=attempt.attempt_number)


def missing_between(first_n: int, parts: Iterable[PartKey]) -> tuple[Missing, ...]:
    """What lies between these parts of one session and after them: parts that lost their manifests, mostly."""
    missing, next_n = [], first_n
    for part in sorted(parts, key=lambda part: part.first_n):
        if part.first_n > next_n:
            missing.append(Missing(next_n, part.first_n - 1))
        next_n = max(next_n, part.last_n + 1)
    return (*missing, Missing(next_n, None))

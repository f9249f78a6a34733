"""Commits provisional parts to a store, patiently: data first, then the manifest that makes them count."""

import threading
from collections.abc import Iterable
from datetime import date
from itertools import groupby

import structlog
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from archive import normalized_manifest as manifests
from archive.files import Damaged
from archive.layout import EventsKey, events_prefix, parse_events_key
from archive.normalized_manifest import EventsManifest, EventsPart
from archive.normalized_message import SCHEMAS
from archive.normalized_read import read_manifest, stored_rows
from archive.normalized_stand import Stand, furthest, life_of, next_life
from archive.rows import put_rows
from archive.store import OtherContent, Store, StoreError, bind_owner
from streaming import failpoints, metrics
from streaming.subjects import escape

log = structlog.get_logger()

MAX_WAIT_SECONDS = 30
# Newest days whose manifests are looked at: the last part of a batch may lie on the day before another's.
_DAYS_READ = 2


class EventsCommitter:
    """The store as an archiver uses it: every operation is tried for ever, until `halt` is set."""

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

    def stand(self, created: str, days: Iterable[date]) -> Stand | None:
        """How far the stream's newest life is archived, by the manifests of the newest of these days."""
        return self._retrying(self._stand, created, sorted(days, reverse=True))

    def commit(self, parts: list[EventsPart], end: Stand) -> Stand:
        """Store a batch of parts, the one that states its end last; the stand to go on from.

        Repeating it does no harm. Where something else lies in its place, it becomes the begin of a new life.
        Raises StoreError only after `halt`.
        """
        while True:
            try:
                for part in parts:
                    self._commit(part)
                return end
            except OtherContent as error:
                metrics.ARCHIVER_CONFLICTS.labels(self._feed).inc()
                log.error("something else lies in a part's place; it goes to another one", error=str(error))
                end = end._replace(epoch=next_life(end.epoch))
                parts = [_moved(part, end.epoch) for part in parts]

    def _commit(self, part: EventsPart) -> None:
        manifest = part.manifest
        failpoints.reach("archiver.before_data")
        kept = [
            self._retrying(put_rows, self._store, stored_rows(manifest, file), data)
            for file, data in zip(manifest.all_files, part.data, strict=True)
        ]
        failpoints.reach("archiver.after_data")
        self._retrying(
            self._put_manifest,
            manifests.with_stored(manifest, [(one.stored_bytes, one.sha256) for one in kept]),
        )
        failpoints.reach("archiver.after_manifest")
        metrics.ARCHIVER_BYTES.labels("normalized").inc(sum(len(data) for data in part.data))
        metrics.ARCHIVER_FILES.labels("normalized").inc(len(part.data))
        for file in manifest.files:
            metrics.ARCHIVER_RECORDS.labels(self._feed, file.token).inc(file.rows)
        log.info("part committed", key=manifest.key.manifest, rows=manifest.rows, bytes=manifest.stored_bytes)

    def _put_manifest(self, manifest: EventsManifest) -> None:
        try:
            self._store.put_if_absent(manifest.key.manifest, manifests.encode(manifest))
        except OtherContent as other:
            try:
                found = read_manifest(self._store, manifest.key)
            except Damaged as error:
                raise OtherContent(str(error)) from error
            if not manifests.same_rows(found, manifest):
                raise
            log.info("another archiver has committed this part", key=manifest.key.manifest, other=str(other))

    def _stand(self, created: str, days: list[date]) -> Stand | None:
        found: list[Stand] = []
        with_parts = 0
        for on in days:
            keys = self._keys(created, [events_prefix(self._feed, schema, on) for schema in SCHEMAS])
            found += self._furthest(keys)
            with_parts += bool(keys)
            if with_parts == _DAYS_READ:
                break
        if not found:  # what came was received long ago, or the stream is new
            everything = [f"{escape(self._feed)}/{schema}/_parts/" for schema in SCHEMAS]
            found = self._furthest(self._keys(created, everything))
        return max(found, key=furthest, default=None)

    def _keys(self, created: str, prefixes: list[str]) -> list[EventsKey]:
        keys = (parse_events_key(name) for prefix in prefixes for name in self._store.list(prefix))
        return [key for key in keys if key is not None and life_of(key.epoch)[0] == created]

    def _furthest(self, keys: list[EventsKey]) -> list[Stand]:
        """The furthest position of each life; few manifests are read, since none states more than its last number."""
        found = []
        for _, of_life in groupby(sorted(keys, key=lambda key: key.epoch), key=lambda key: key.epoch):
            best: Stand | None = None
            for key in sorted(of_life, key=lambda key: key.last_seq, reverse=True):
                if best and best.position >= key.last_seq:
                    break
                stand = self._stand_of(key)
                if stand and (best is None or stand.position > best.position):
                    best = stand
            found += [best] if best else []
        return found

    def _stand_of(self, key: EventsKey) -> Stand | None:
        """One unreadable manifest must not keep the archiver from going on after another one."""
        try:
            manifest = read_manifest(self._store, key)
        except Damaged as error:
            metrics.ARCHIVER_DAMAGED.labels(self._feed).inc()
            log.error("a manifest cannot be read", key=key.manifest, error=str(error))
            return None
        return Stand(manifest.epoch, manifest.position, manifest.anchor)

    def _note(self, attempt: RetryCallState) -> None:
        metrics.ARCHIVER_STORE_ERRORS.labels(self._feed).inc()
        error = attempt.outcome.exception() if attempt.outcome else None
        log.warning("the store failed; trying again", error=str(error), attempt=attempt.attempt_number)


def _moved(part: EventsPart, epoch: str) -> EventsPart:
    return EventsPart(part.data, manifests.with_epoch(part.manifest, epoch))

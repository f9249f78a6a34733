"""One day of a reindex: the rows of its parts and sealed versions, exactly as its manifests state them."""

from collections.abc import Iterator, Sequence
from datetime import date

import structlog
from django.db import transaction
from django.utils import timezone

from archive import seal_manifest
from archive.files import Damaged
from archive.gap_rows import instant
from archive.inventory import part_row
from archive.known_sessions import Archived, runs_in
from archive.layout import PartKey, parse_manifest_key, parts_prefix, seal_key
from archive.manifest import PartManifest
from archive.raw import read_manifest
from archive.raw_row import recount
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest
from archive.sealed_rows import record_sealed
from registry.models import (
    ArchivePart,
    CaptureSession,
    DataQualityIssue,
    InventorySymbol,
    SealedDay,
)

log = structlog.get_logger()

AT_ONCE = 500
# What ArchivePart's rows follow from their manifest; `ingested_at` is when the database learned of it.
_OF_MANIFEST = (
    "feed", "environment", "date", "session", "first_n", "last_n", "rows", "raw_bytes", "stored_bytes", "sha256",
    "first_ns", "last_ns", "connector_version", "processor_version", "marks",
)  # fmt: skip


class Day:
    """One day's parts and sealed versions."""

    def __init__(self, archived: Archived, on: date) -> None:
        self._archived, self._on = archived, on
        self.parts = self.sealed = self.removed = 0
        self.damaged: list[str] = []
        self._told: list[DataQualityIssue] = []

    def record(self) -> None:
        """Make the rows; call it inside a transaction."""
        found = [manifest for key in self._keys() if (manifest := self._read(key)) is not None]
        self.parts = len(found)
        self._store(found)
        tickers = {ticker for manifest in found for ticker in manifest.tickers}
        sealed = self._seals()
        if sealed is not None and sum(manifest.rows for manifest in found) < sealed.raw_rows:
            tickers |= self._sealed_tickers(sealed)
        if found or sealed is not None:
            symbols = InventorySymbol.objects.filter(inventory__feed=self._archived.feed)
            symbols.filter(inventory__date=self._on).exclude(ticker__in=tickers).delete()
            recount(self._archived, self._on, tickers)
        self._tell()

    def _keys(self) -> Iterator[PartKey]:
        for name in self._archived.store.list(parts_prefix(self._archived.feed.name, self._on)):
            if (key := parse_manifest_key(name)) is not None:
                yield key

    def _read(self, key: PartKey) -> PartManifest | None:
        try:
            manifest = read_manifest(self._archived.store, key)
            if manifest.environment != self._archived.environment:
                raise Damaged(f"{key.manifest} is of environment {manifest.environment}")
        except Damaged as error:
            self._blame(key.session, key.manifest, error)
            return None
        return manifest

    def _store(self, found: Sequence[PartManifest]) -> None:
        rows = [part_row(self._archived.feed, manifest) for manifest in found]
        known = self._archived.parts.filter(date=self._on)
        keys = {row.key for row in rows}
        gone = [pk for pk, key in known.values_list("pk", "key") if key not in keys]
        for start in range(0, len(gone), AT_ONCE):
            ArchivePart.objects.filter(pk__in=gone[start : start + AT_ONCE]).delete()
        self.removed += len(gone)
        ArchivePart.objects.bulk_create(
            rows, batch_size=AT_ONCE, update_conflicts=True, unique_fields=["key"], update_fields=_OF_MANIFEST
        )

    def _seals(self) -> DayManifest | None:
        archived, on = self._archived, self._on
        versions = seal_manifest.versions(archived.store, archived.feed.name, on)
        rows = SealedDay.objects.filter(feed=archived.feed, date=on)
        self.removed += rows.exclude(version__in=versions).delete()[0]
        self.sealed = len(versions)
        try:
            with transaction.atomic():
                manifest = record_sealed(archived, on)
        except Damaged as error:
            self._blame("", seal_key(archived.feed.name, on, versions[-1]), error)
            return None
        if manifest is not None:
            _note_sessions(archived, manifest)
        return manifest

    def _sealed_tickers(self, manifest: DayManifest) -> set[str]:
        """The markets of a sealed day whose parts are gone: its normalized files lie by ticker."""
        store = self._archived.normalized
        tickers: set[str] = set()
        if store is None:
            return tickers
        for shard in manifest.shards:
            try:
                tickers |= {file.ticker for file in read_index(store, shard.index) if file.ticker is not None}
            except Damaged as error:
                self._blame("", shard.index.key, error)
        return tickers

    def _blame(self, session: str, key: str, error: Damaged) -> None:
        log.error("manifest cannot be read", key=key, error=str(error))
        self.damaged.append(key)
        issue = DataQualityIssue(
            feed=self._archived.feed,
            date=self._on,
            session=session,
            issue_type=DataQualityIssue.Type.INTEGRITY,
            severity=DataQualityIssue.Severity.ERROR,
            sample_data={"manifest": key, "error": str(error)},
            detected_at=timezone.now(),
        )
        self._told.append(issue)

    def _tell(self) -> None:
        """What cannot be read is an issue of the day, until it can."""
        feed, on = self._archived.feed, self._on
        before = DataQualityIssue.objects.filter(
            feed=feed, date=on, issue_type=DataQualityIssue.Type.INTEGRITY
        )
        before.filter(sample_data__has_key="manifest").delete()
        sessions = {row.session: row for row in self._told}
        DataQualityIssue.objects.bulk_create(
            list(sessions.values()),
            update_conflicts=True,
            unique_fields=["feed", "date", "session", "issue_type"],
            update_fields=["severity", "sample_data"],
        )


def _note_sessions(archived: Archived, manifest: DayManifest) -> None:
    """That these sessions exist, as far as this day tells: parts of them may be gone by now."""
    for run in runs_in(manifest):
        row = CaptureSession.objects.filter(session=run.session).first() or CaptureSession(
            session=run.session,
            feed=archived.feed,
            environment=archived.environment,
            environment_version=0,
            started_at=instant(run.first_ns),
            last_n=run.last_n,
            first_n=run.first_n,
            records=0,
        )
        row.started_at = min(row.started_at, instant(run.first_ns))
        row.ended_at = max(row.ended_at or row.started_at, instant(run.last_ns))
        row.first_n, row.last_n = min(row.first_n, run.first_n), max(row.last_n, run.last_n)
        row.records = row.last_n - row.first_n + 1  # at least what is there: it is counted below
        row.save()

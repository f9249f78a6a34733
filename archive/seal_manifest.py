"""What a sealed day states about itself: its plan, what each step made, and the day manifest. Pure.

A plan fixes the inputs, before anything is written; every output is a function of it. A version counts once its day
manifest is in the store. All of them are one line of JSON.
"""

from datetime import date
from datetime import date as Day
from typing import Any, TypeVar

import msgspec

from archive import layout
from archive.checked_line import require_sound, with_check
from archive.files import Damaged
from archive.layout import PartKey
from archive.manifest import MarkAt, PartManifest
from archive.rows import StoredRows
from archive.store import ObjectMissing, OtherContent, Store

FORMAT = 1
SCHEMA = "v2"
SHARD_BYTES = 512 * 1024 * 1024  # of raw lines: what one shard reads events of
MOST_SHARDS = 8  # each shard reads all lines, and understands only its own


class PlannedPart(StoredRows, frozen=True, kw_only=True):
    """A raw part that is an input."""

    session: str
    first_n: int
    last_n: int
    first_recv_ns: int
    last_recv_ns: int
    connector_version: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one version is made from: the sealed files of version `base` (0: none), and these parts beyond it."""

    format: int = FORMAT
    feed: str
    environment: str
    date: date
    version: int
    base: int
    is_partial: bool
    planned_ns: int
    shards: int
    schema: str = SCHEMA
    mapper: str = ""  # that the feed version in force names; none: of each record's day
    parts: list[PlannedPart]
    sessions: dict[str, tuple[int, int]]  # first and last n of each session, all between them included
    unusable: list[str] | msgspec.UnsetType = msgspec.UNSET  # raw files of the base that are not to be read


class SealedFile(StoredRows, frozen=True, kw_only=True):
    """A sealed file: a raw hour of one type, or the events of one kind of one ticker."""

    kind: str  # raw type, or folder
    hour: int | None = None
    ticker: str | None = None
    first_recv_ns: int
    last_recv_ns: int


class SessionSpan(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a session that lie on this day."""

    session: str
    first_n: int
    last_n: int
    first_recv_ns: int
    last_recv_ns: int


class RawHour(msgspec.Struct, frozen=True, kw_only=True):
    """One hour of raw lines, by type."""

    hour: int
    files: list[SealedFile]
    spans: list[SessionSpan]
    marks: list["DayMark"]
    replaced: list[str] | msgspec.UnsetType = msgspec.UNSET


class DayMark(msgspec.Struct, frozen=True, kw_only=True):
    """A mark from which gaps and coverage follow."""

    session: str
    n: int
    recv_ns: int
    data: msgspec.Raw

    def at(self) -> MarkAt:
        """The same as part manifests keep it."""
        return MarkAt(self.n, self.recv_ns, self.data)


class QualityCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was wrong in what a session received, with the first example of it."""

    issue: str
    count: int
    session: str
    n: int
    sample: str


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """The normalized files of the tickers of one shard: listed in `index`, one line each."""

    shard: int
    index: StoredRows
    identities: StoredRows
    carry: StoredRows
    files: int
    markets: int
    rows: dict[str, int]
    raw_bytes: int
    stored_bytes: int
    overlap: int
    unmappable: int
    quality: list[QualityCount]
    mappers: list[str]
    replaced: list[str] | msgspec.UnsetType = msgspec.UNSET


class BusSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Which events of the day the provisional parts hold; without parts nothing can be said of the bus."""

    parts: int
    damaged: int
    identities: StoredRows


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """How this version's normalized files differ from the version's before."""

    same: int = 0
    changed: int = 0
    added: int = 0
    removed: int = 0


class DayManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed version of one feed and UTC day."""

    format: int = FORMAT
    feed: str
    environment: str
    date: date
    version: int
    base: int
    is_partial: bool
    plan_sha256: str
    sealed_ns: int
    code_version: str
    schema: str
    schema_sha256: str
    mappers: list[str]
    environment_versions: list[int]
    raw: list[SealedFile]
    shards: list[Shard]
    spans: list[SessionSpan]
    unfinished: list[str]  # sessions that may still have records of this day
    marks: list[DayMark]
    gaps: list[dict[str, Any]]
    raw_rows: int
    raw_bytes: int
    stored_bytes: int
    events: dict[str, int]
    markets: int
    first_recv_ns: int
    last_recv_ns: int
    connector_version: str = ""  # that received its last record
    overlap: int
    nats_lost: int | None  # events that raw has and the provisional parts have not; None where there are none
    nats_unexpected: int
    quality: list[QualityCount]
    diff: Diff
    previous: str  # SHA-256 of the manifest of the last sealed day before this one; empty for the first
    previous_date: Day | None
    replaced: list[str] | msgspec.UnsetType = msgspec.UNSET  # older versions' files that were gone or damaged


AnyOf = TypeVar("AnyOf", bound=Plan | RawHour | Shard | BusSeen | DayManifest)


def encode(document: Plan | RawHour | Shard | BusSeen | DayManifest) -> bytes:
    """The document as one line of JSON, with its checksum."""
    return with_check(msgspec.json.encode(document))


def decode(data: bytes, kind: type[AnyOf], *, key: str) -> AnyOf:
    """The document in `data`; raises Damaged."""
    try:
        document = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{key} is not what it should be: {error}") from error
    require_sound(data, key)
    if (place := _place(document)) and place != key:
        raise Damaged(f"{key} is not what it should be: it belongs at {place}")
    return document


def _place(document: Plan | RawHour | Shard | BusSeen | DayManifest) -> str:
    """Where a document lies that says which day and version it is of."""
    if isinstance(document, Plan):
        return layout.plan_key(document.feed, document.date, document.version)
    if isinstance(document, DayManifest):
        return layout.seal_key(document.feed, document.date, document.version)
    return ""


def read(store: Store, key: str, kind: type[AnyOf]) -> AnyOf:
    """The document at `key`; raises ObjectMissing and Damaged."""
    return decode(store.get(key), kind, key=key)


def read_if_there(store: Store, key: str, kind: type[AnyOf]) -> AnyOf | None:
    """The document at `key`, if it was written."""
    try:
        return read(store, key, kind)
    except ObjectMissing:
        return None


def put_report(store: Store, key: str, report: AnyOf) -> AnyOf:
    """Commit what a step made; returns what counts: somebody else who did the same step may have been first."""
    try:
        store.put_if_absent(key, encode(report))
    except OtherContent:
        return read(store, key, type(report))
    return report


def planned(manifest: PartManifest) -> PlannedPart:
    """A committed part as an input."""
    return PlannedPart(
        key=manifest.key.data,
        rows=manifest.rows,
        raw_bytes=manifest.raw_bytes,
        stored_bytes=manifest.stored_bytes,
        sha256=manifest.sha256,
        sha256_rows=manifest.sha256_rows,
        session=manifest.session,
        first_n=manifest.first_n,
        last_n=manifest.last_n,
        first_recv_ns=manifest.first_recv_ns,
        last_recv_ns=manifest.last_recv_ns,
        connector_version=manifest.connector_version,
    )


def replaced_by(made: RawHour | Shard | DayManifest) -> list[str]:
    """The keys of older versions' files that were gone or damaged, so that this version has its own."""
    return made.replaced or []


def ranges_of(manifest: "DayManifest | None") -> dict[str, tuple[int, int]]:
    """The records of each session that a version holds."""
    spans = manifest.spans if manifest else []
    return {span.session: (span.first_n, span.last_n) for span in spans}


def is_beyond(part: PartKey, known: dict[str, tuple[int, int]]) -> bool:
    """Whether a part has records that a version with these ranges has not."""
    first_n, last_n = known.get(part.session, (1, 0))
    return not first_n <= part.first_n <= part.last_n <= last_n


def versions(store: Store, feed: str, on: date) -> list[int]:
    """The committed versions of a day, oldest first."""
    keys = store.list(layout.seal_prefix(feed, on))
    return sorted(version for key in keys if (version := layout.parse_seal_key(key)) is not None)


def latest(store: Store, feed: str, on: date) -> DayManifest | None:
    """The day's latest committed version."""
    found = versions(store, feed, on)
    return read(store, layout.seal_key(feed, on, found[-1]), DayManifest) if found else None

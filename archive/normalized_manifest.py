"""What a committed provisional normalized part states about itself. Pure."""

import hashlib
from datetime import date
from typing import NamedTuple

import msgspec

from archive.checked_line import require_sound, with_check
from archive.files import Damaged
from archive.layout import EventsKey

FORMAT = 1


class Anchor(msgspec.Struct, frozen=True):
    """The last archived message: another one under its number means that the numbers begin a new life."""

    seq: int = 0
    id: str = ""


class EventsFile(msgspec.Struct, frozen=True):
    """The events of one kind; `raw_bytes` and `sha256_rows` are of what zstd holds."""

    token: str
    rows: int
    raw_bytes: int
    stored_bytes: int
    sha256: str
    sha256_rows: str


class EventsManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A provisional part: the messages of one day and schema among first_seq to last_seq of one life of a stream.

    `position`: every message of this life up to here is in committed parts, or in one of their `holes`.
    """

    format: int = FORMAT
    feed: str
    environment: str
    schema: str
    stream: str
    epoch: str
    date: date
    first_seq: int
    last_seq: int
    position: int
    anchor: Anchor
    rows: int
    files: list[EventsFile]
    quarantine: EventsFile | None
    first_recv_ns: int
    last_recv_ns: int
    sessions: dict[str, tuple[int, int, int]]  # first n, last n, events
    holes: list[tuple[int, int]]  # numbers that the stream no longer had
    archiver_version: str

    @property
    def key(self) -> EventsKey:
        """Where the part lies."""
        return EventsKey(self.feed, self.schema, self.date, self.epoch, self.first_seq, self.last_seq)

    @property
    def stored_bytes(self) -> int:
        """What its data take in the store."""
        return sum(file.stored_bytes for file in self.all_files)

    @property
    def all_files(self) -> list[EventsFile]:
        """Its files, the quarantine included."""
        return [*self.files, *([self.quarantine] if self.quarantine else [])]

    def place(self, file: EventsFile) -> str:
        """The key of one of its files."""
        return self.key.quarantine if file == self.quarantine else self.key.data(file.token)


class EventsPart(NamedTuple):
    """A part ready to be stored: the bytes of `manifest.all_files`, in that order."""

    data: list[bytes]
    manifest: EventsManifest


_decoder = msgspec.json.Decoder(EventsManifest)


def encode(manifest: EventsManifest) -> bytes:
    """The manifest as one line of JSON, with its checksum."""
    return with_check(msgspec.json.encode(manifest))


def decode(data: bytes, *, key: EventsKey) -> EventsManifest:
    """The manifest in `data`; raises Damaged unless it is that of the part at `key`."""
    try:
        manifest = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{key.manifest} is not a manifest: {error}") from error
    require_sound(data, key.manifest)
    if manifest.format != FORMAT:
        raise Damaged(f"{key.manifest} has format {manifest.format}; this program reads {FORMAT}")
    if manifest.key != key:
        raise Damaged(f"{key.manifest} is the manifest of another part: {manifest.key.manifest}")
    if manifest.rows != sum(file.rows for file in manifest.files) or manifest.position > manifest.last_seq:
        raise Damaged(f"{key.manifest} contradicts itself")
    return manifest


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def with_stored(manifest: EventsManifest, found: list[tuple[int, str]]) -> EventsManifest:
    """The manifest for what lies in the store: what an earlier try left there may be compressed differently."""
    files = [
        msgspec.structs.replace(file, stored_bytes=size, sha256=sha256)
        for file, (size, sha256) in zip(manifest.all_files, found, strict=True)
    ]
    of_events = len(manifest.files)
    return msgspec.structs.replace(
        manifest, files=files[:of_events], quarantine=files[of_events] if manifest.quarantine else None
    )


def with_epoch(manifest: EventsManifest, epoch: str) -> EventsManifest:
    """The same part in another life of the stream."""
    return msgspec.structs.replace(manifest, epoch=epoch)


def same_rows(one: EventsManifest, other: EventsManifest) -> bool:
    """Whether two manifests are of the same messages; compression may differ between library versions."""
    return (one.key, one.environment, _rows(one)) == (other.key, other.environment, _rows(other))


def _rows(manifest: EventsManifest) -> list[tuple[str, int, str]]:
    return sorted((file.token, file.rows, file.sha256_rows) for file in manifest.all_files)

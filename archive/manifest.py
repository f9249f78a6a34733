"""What a committed part states about itself: a part counts once its manifest is in the store."""

import hashlib
from typing import NamedTuple

import msgspec

from archive.checked_line import require_sound, with_check
from archive.files import Damaged
from archive.layout import PartKey, day_of
from streaming import marks

FORMAT = 1

# Marks that gaps and coverage follow from; ticks, market times and REST's trades are read in the lines.
KEPT_MARKS = (
    marks.SessionStart,
    marks.ConnectionOpen,
    marks.ConnectionReady,
    marks.ConnectionClose,
    marks.ClockStep,
    marks.GapOpen,
    marks.GapClose,
    marks.GapHealed,
    marks.SessionEnd,
)


class MarkAt(msgspec.Struct, frozen=True):
    """A mark as it stands in the capture log, with its number and receive time in Unix ns."""

    n: int
    recv_ns: int
    data: msgspec.Raw

    def decode(self) -> marks.Mark:
        """The mark's meaning."""
        return marks.decode(bytes(self.data))


class PartManifest(msgspec.Struct, frozen=True, kw_only=True):
    """A raw part: which records, how many bytes, with what hashes. `raw_bytes` and `sha256_rows` are of the lines."""

    format: int = FORMAT
    feed: str
    environment: str
    session: str
    first_n: int
    last_n: int
    rows: int
    rows_by_type: dict[str, int]
    raw_bytes: int
    stored_bytes: int
    sha256: str
    sha256_rows: str
    first_recv_ns: int
    last_recv_ns: int
    tickers: list[str]
    connections: list[int]
    marks: list[MarkAt]
    connector_version: str
    shipper_version: str

    @property
    def key(self) -> PartKey:
        """Where the part lies."""
        return PartKey(self.feed, day_of(self.first_recv_ns), self.session, self.first_n, self.last_n)


class Part(NamedTuple):
    """A part ready to be stored."""

    data: bytes
    manifest: PartManifest


_decoder = msgspec.json.Decoder(PartManifest)


def encode(manifest: PartManifest) -> bytes:
    """The manifest as one line of JSON, with its checksum."""
    return with_check(msgspec.json.encode(manifest))


def decode(data: bytes, *, key: PartKey) -> PartManifest:
    """The manifest in `data`; raises Damaged unless it is that of the part at `key`."""
    try:
        manifest = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"{key.manifest} is not a manifest: {error}") from error
    require_sound(data, key.manifest)
    if manifest.format != FORMAT:
        raise Damaged(f"{key.manifest} has format {manifest.format}; this program reads {FORMAT}")
    if manifest.key != key or manifest.rows != key.last_n - key.first_n + 1:
        raise Damaged(f"{key.manifest} is the manifest of another part: {manifest.key.manifest}")
    return manifest


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def same_rows(one: PartManifest, other: PartManifest) -> bool:
    """Whether two manifests are of the same lines; compression may differ between library versions."""
    return (one.key, one.environment, one.sha256_rows) == (other.key, other.environment, other.sha256_rows)

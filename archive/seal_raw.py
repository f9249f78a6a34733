"""One hour of a day as final raw files, one for each type, out of parts of all types."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec
import zstandard

from archive import layout, seal_manifest
from archive.day_lines import DayLine, hour_lines
from archive.files import Damaged
from archive.manifest import KEPT_MARKS
from archive.rows import put_rows, read_back
from archive.seal_manifest import DayManifest, DayMark, Plan, RawHour, SealedFile, SessionSpan
from archive.store import Store
from streaming import failpoints, marks

LEVEL = 8  # measured on recorded order books: a tenth smaller than level 1, which parts have
_PIECE_BYTES = 1 << 18


def seal_hour(store: Store, plan: Plan, base: DayManifest | None, hour: int) -> RawHour:
    """Write, read back and commit one hour; what an earlier attempt committed is taken as it is."""
    key = layout.step_key(plan.feed, plan.date, plan.version, f"raw-{hour:02d}")
    done = seal_manifest.read_if_there(store, key, RawHour)
    if done is not None:
        return done
    hour_of_raw = _Hour(plan, hour)
    for line in hour_lines(store, plan, base, hour):
        hour_of_raw.take(line)
    unusable = plan.unusable or []
    files = [_put(store, base, unusable, file, data) for file, data in hour_of_raw.files()]
    failpoints.reach("seal.raw_hour_written")
    for file in files:
        read_back(store, file)
    report = RawHour(
        hour=hour,
        files=files,
        spans=hour_of_raw.spans,
        marks=hour_of_raw.marks,
        replaced=[one.key for one in base.raw if one.hour == hour and one.key in unusable] or msgspec.UNSET
        if base
        else msgspec.UNSET,
    )
    report = seal_manifest.put_report(store, key, report)
    failpoints.reach("seal.raw_hour_committed")
    return report


def _put(
    store: Store, base: DayManifest | None, unusable: list[str], file: SealedFile, data: bytes
) -> SealedFile:
    same = (
        next((one for one in base.raw if one.hour == file.hour and one.kind == file.kind), None)
        if base
        else None
    )
    if same is not None and same.sha256_rows == file.sha256_rows and same.key not in unusable:
        return same  # nothing came late: the older version's file is this version's, too
    put = put_rows(store, file, data)
    return msgspec.structs.replace(file, stored_bytes=put.stored_bytes, sha256=put.sha256)


class _Hour:
    """The lines of an hour, by type; checks that of each session no record is missing or there twice."""

    def __init__(self, plan: Plan, hour: int) -> None:
        self._plan, self._hour = plan, hour
        self._types: dict[str, _Rows] = {}
        self._spans: dict[str, list[int]] = {}  # first and last n, first and last receive time
        self.marks: list[DayMark] = []

    def take(self, line: DayLine) -> None:
        """The next line in order of receive time."""
        span = self._spans.get(line.session)
        if span is None:
            self._spans[line.session] = [line.n, line.n, line.recv_ns, line.recv_ns]
        elif line.n != span[1] + 1:
            raise Damaged(f"record {line.n} of {line.session} comes where {span[1] + 1} was due")
        else:
            span[1], span[3] = line.n, line.recv_ns
        if line.is_mark and (mark := kept_mark(line)) is not None:
            self.marks.append(mark)
        raw_type = line.raw.raw_type
        rows = self._types.get(raw_type)
        if rows is None:
            rows = self._types[raw_type] = _Rows(line.recv_ns)
        rows.add(line.line, line.recv_ns)

    @property
    def spans(self) -> list[SessionSpan]:
        """Which records of which sessions the hour holds."""
        return [
            SessionSpan(session=name, first_n=n, last_n=last_n, first_recv_ns=ns, last_recv_ns=last_ns)
            for name, (n, last_n, ns, last_ns) in self._spans.items()
        ]

    def files(self) -> Iterator[tuple[SealedFile, bytes]]:
        """Each type's file and its content."""
        on: date = self._plan.date
        for raw_type, rows in sorted(self._types.items()):
            key = layout.raw_file(self._plan.feed, on, raw_type, hour=self._hour, version=self._plan.version)
            yield rows.finish(key, kind=raw_type, hour=self._hour)


def kept_mark(line: DayLine) -> DayMark | None:
    """The mark in a line, if gaps and coverage follow from it."""
    payload = line.raw.record.payload
    try:
        mark = marks.decode(payload)
    except msgspec.DecodeError:
        return None  # of a later version: its line is kept all the same
    if not isinstance(mark, KEPT_MARKS):
        return None
    return DayMark(session=line.session, n=line.n, recv_ns=line.recv_ns, data=msgspec.Raw(payload))


class _Rows:
    """Rows on their way into one file."""

    def __init__(self, first_recv_ns: int) -> None:
        self._first_recv_ns = self._last_recv_ns = first_recv_ns
        self._digest = hashlib.sha256()
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
        self._compressed: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = self._raw_bytes = self._rows = 0

    def add(self, line: bytes, recv_ns: int) -> None:
        self._pending.append(line)
        self._pending_bytes += len(line)
        self._rows += 1
        self._last_recv_ns = recv_ns
        if self._pending_bytes >= _PIECE_BYTES:
            self._compress()

    def _compress(self) -> None:
        piece = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        self._raw_bytes += len(piece)
        self._digest.update(piece)
        self._compressed.append(self._compressor.compress(piece))

    def finish(self, key: str, *, kind: str, hour: int) -> tuple[SealedFile, bytes]:
        self._compress()
        data = b"".join([*self._compressed, self._compressor.flush()])
        file = SealedFile(
            key=key,
            rows=self._rows,
            raw_bytes=self._raw_bytes,
            stored_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            sha256_rows=self._digest.hexdigest(),
            kind=kind,
            hour=hour,
            first_recv_ns=self._first_recv_ns,
            last_recv_ns=self._last_recv_ns,
        )
        return file, data


def joined(spans: Iterable[SessionSpan]) -> list[SessionSpan]:
    """The spans of all hours as one for each session; raises Damaged where records are missing between two."""
    found: dict[str, SessionSpan] = {}
    for span in sorted(spans, key=lambda span: (span.session, span.first_n)):
        before = found.get(span.session)
        if before is None:
            found[span.session] = span
            continue
        if span.first_n != before.last_n + 1:
            raise Damaged(
                f"{span.session}: record {span.first_n} follows record {before.last_n} in the sealed hours"
            )
        found[span.session] = msgspec.structs.replace(
            before, last_n=span.last_n, last_recv_ns=span.last_recv_ns
        )
    return sorted(found.values(), key=lambda span: (span.first_recv_ns, span.session))

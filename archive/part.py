"""A raw part in the making: which records belong together, and their lines. Pure."""

import hashlib
from collections import defaultdict, deque

import msgspec

from archive.files import LineEncoder, compressor
from archive.manifest import KEPT_MARKS, MarkAt, Part, PartManifest, digest
from streaming import marks
from streaming.records import Kind, Record

MAX_RAW_BYTES = 64 * 1024 * 1024
_HOUR_NS = 3_600_000_000_000
_PIECE_BYTES = 1 << 18
_MARK = int(Kind.MARK)


class PartBuilder:
    """Takes a session's records in n order until the part is full or a record belongs to the next one."""

    def __init__(
        self,
        *,
        feed: str,
        environment: str,
        session: str,
        shipper_version: str,
        max_bytes: int = MAX_RAW_BYTES,
    ) -> None:
        self._feed, self._environment, self._session = feed, environment, session
        self._shipper_version = shipper_version
        self._max_bytes = max_bytes
        self._lines = LineEncoder(session)
        self.connector_version = ""
        self._begin()

    def _begin(self) -> None:
        self.first: Record | None = None
        self.last: Record | None = None
        self.has_end = False
        self._raw_bytes = 0
        self._next_n = self._hour_ends_ns = 0
        self._types: defaultdict[str, int] = defaultdict(int)
        self._tickers: set[str | None] = set()
        self._connections: set[int] = set()
        self._marks: list[MarkAt] = []
        self._hash = hashlib.sha256()
        self._compressor = compressor()
        self._pieces: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the part must be finished now: by size, or because the session has ended."""
        return self._raw_bytes >= self._max_bytes or self.has_end

    @property
    def rows(self) -> int:
        """How many records it holds."""
        return 0 if self.first is None else self._next_n - self.first.n

    def take(self, waiting: deque[Record]) -> bool:
        """Take records from the left, as many as belong here; True when the part must be finished before more."""
        if self.first is None and waiting:
            self._start_with(waiting[0])
        while waiting and not self.is_full:
            if waiting[0].received_ns >= self._hour_ends_ns:
                return True
            self._add(waiting.popleft())
        return self.is_full

    def _start_with(self, record: Record) -> None:
        self.first = record
        self._next_n = record.n
        self._hour_ends_ns = (record.received_ns // _HOUR_NS + 1) * _HOUR_NS

    def _add(self, record: Record) -> None:
        if record.n != self._next_n:
            raise ValueError(f"Record {record.n} of {self._session} came where {self._next_n} was due")
        data, raw_type, ticker = self._lines.encode(record)
        self.last = record
        self._next_n += 1
        self._types[raw_type] += 1
        self._tickers.add(ticker)
        self._connections.add(record.connection)
        self._pending.append(data)
        self._pending_bytes += len(data)
        if record.kind == _MARK:
            self._note_mark(record)
        if self._pending_bytes >= _PIECE_BYTES or self._raw_bytes + self._pending_bytes >= self._max_bytes:
            self._compress_pending()

    def _note_mark(self, record: Record) -> None:
        try:
            mark = marks.decode(record.payload)
        except msgspec.DecodeError:
            return  # of a later version: its line is kept all the same
        if isinstance(mark, KEPT_MARKS):
            self._marks.append(MarkAt(record.n, record.received_ns, msgspec.Raw(record.payload)))
        if isinstance(mark, marks.SessionStart):
            self.connector_version = mark.code_version
        self.has_end = isinstance(mark, marks.SessionEnd)

    def _compress_pending(self) -> None:
        piece = b"".join(self._pending)
        self._raw_bytes += len(piece)
        self._pending, self._pending_bytes = [], 0
        self._hash.update(piece)
        self._pieces.append(self._compressor.compress(piece))

    def finish(self) -> Part:
        """The part as it stands; the builder then begins the next one."""
        if self.first is None or self.last is None:
            raise ValueError("A part holds at least one record")
        self._compress_pending()
        data = b"".join([*self._pieces, self._compressor.flush()])
        manifest = PartManifest(
            feed=self._feed,
            environment=self._environment,
            session=self._session,
            first_n=self.first.n,
            last_n=self.last.n,
            rows=self.rows,
            rows_by_type=dict(sorted(self._types.items())),
            raw_bytes=self._raw_bytes,
            stored_bytes=len(data),
            sha256=digest(data),
            sha256_rows=self._hash.hexdigest(),
            first_recv_ns=self.first.received_ns,
            last_recv_ns=self.last.received_ns,
            tickers=sorted(ticker for ticker in self._tickers if ticker),
            connections=sorted(self._connections - {0}),
            marks=self._marks,
            connector_version=self.connector_version,
            shipper_version=self._shipper_version,
        )
        self._begin()
        return Part(data, manifest)

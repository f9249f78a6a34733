"""A raw part in the making: which records belong together, and their lines. Pure."""

import hashlib
from collections import Counter, deque

import msgspec

from archive.files import Line, LineEncoder, compressor
from archive.manifest import KEPT_MARKS, MarkAt, Part, PartManifest, digest
from streaming import marks
from streaming.records import Kind, Record

MAX_RAW_BYTES = 64 * 1024 * 1024
_HOUR_NS = 3_600_000_000_000
_PIECE_BYTES = 1 << 18
_MARK = int(Kind.MARK)
MAX_TICKER = 200  # characters: as much as the registry takes


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
        self.until_n: int | None = None
        self._raw_bytes = 0
        self._next_n = self._hour_ends_ns = 0
        self._types: Counter[str] = Counter()
        self._tickers: set[str | None] = set()
        self._connections: set[int] = set()
        self._marks: list[MarkAt] = []
        self._hash = hashlib.sha256()
        self._compressor = compressor()
        self._pieces: list[bytes] = []
        self._pending: list[Line] = []
        self._pending_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether the part must be finished now: by size, at its last n, or because the session has ended."""
        is_last = self.until_n is not None and self._next_n > self.until_n
        return is_last or self.has_end or self._raw_bytes + self._pending_bytes >= self._max_bytes

    @property
    def rows(self) -> int:
        """How many records it holds."""
        return 0 if self.first is None else self._next_n - self.first.n

    def take(self, waiting: deque[Record], *, until_n: int | None = None) -> bool:
        """Take records from the left, as many as belong here; True when the part must be finished before more.

        What follows `until_n` is in the store already.
        """
        self.until_n = until_n
        if self.first is None and waiting:
            self._start_with(waiting[0])
        while waiting and not self.is_full:
            if waiting[0].received_ns >= self._hour_ends_ns:
                return True
            self._add_up_to(_PIECE_BYTES, waiting)
        return self.is_full

    def _start_with(self, record: Record) -> None:
        self.first = record
        self._next_n = record.n
        self._hour_ends_ns = (record.received_ns // _HOUR_NS + 1) * _HOUR_NS

    def _add_up_to(self, piece_bytes: int, waiting: deque[Record]) -> None:
        """One tight loop, in which nothing is looked up twice: it runs for every record that there is."""
        encode, add, connections = self._lines.encode, self._pending.append, self._connections
        next_n, size, record = self._next_n, self._pending_bytes, self.last
        most = min(piece_bytes, self._max_bytes - self._raw_bytes)
        end_n = next_n + len(waiting) if self.until_n is None else self.until_n + 1
        while waiting and size < most and next_n < end_n and waiting[0].received_ns < self._hour_ends_ns:
            record = waiting.popleft()
            if record.n != next_n:
                raise ValueError(f"Record {record.n} of {self._session} came where {next_n} was due")
            line = encode(record)
            add(line)
            size += len(line[0])
            next_n += 1
            connections.add(record.connection)
            if record.kind == _MARK and self._note_mark(record):
                break
        self._next_n, self._pending_bytes, self.last = next_n, size, record
        if size >= most:
            self._compress_pending()

    def _note_mark(self, record: Record) -> bool:
        """True at the session's end."""
        try:
            mark = marks.decode(record.payload)
        except msgspec.DecodeError:
            return False  # of a later version: its line is kept all the same
        if isinstance(mark, KEPT_MARKS):
            self._marks.append(MarkAt(record.n, record.received_ns, _without_nul(record.payload)))
        if isinstance(mark, marks.SessionStart):
            self.connector_version = mark.code_version
        self.has_end = isinstance(mark, marks.SessionEnd)
        return self.has_end

    def _compress_pending(self) -> None:
        if not self._pending:
            return
        lines, types, tickers = zip(*self._pending, strict=True)
        self._types.update(types)
        self._tickers.update(tickers)
        piece = b"".join(lines)
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
            tickers=sorted(ticker for ticker in self._tickers if ticker and _is_listable(ticker)),
            connections=sorted(self._connections - {0}),
            marks=self._marks,
            connector_version=self.connector_version,
            shipper_version=self._shipper_version,
        )
        self._begin()
        return Part(data, manifest)


def _is_listable(ticker: str) -> bool:
    """No venue has other tickers, and a database refuses some of them; the lines keep whatever came."""
    return len(ticker) <= MAX_TICKER and ticker.isprintable()


def _without_nul(mark: bytes) -> msgspec.Raw:
    """A mark as a database takes it: PostgreSQL's JSON holds no NUL, and a venue's words may; the line keeps it."""
    return msgspec.Raw(mark.replace(b"\\u0000", b"\\ufffd"))

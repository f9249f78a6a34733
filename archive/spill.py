"""Events on their way to one file for each ticker: spilled to disk in buckets, so that a day need not fit into memory."""

import struct
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import google_crc32c

from archive.objects import StoreError

BUCKET_BYTES = 8 * 1024 * 1024  # about what is in memory when a bucket is read
MOST_BUCKETS = 512
_HEAD = struct.Struct("<IBQHQHI")  # ticker, folder, recv_ns, session, n, k, length
_FLUSH_BYTES = 256 * 1024


class Spilled(NamedTuple):
    """One event: where it belongs, its identity, and its message."""

    recv_ns: int
    session: str
    n: int
    k: int
    payload: bytes


class Spill:
    """Takes events in the order that their files shall have; gives them back file by file.

    Its files have no names: two who do the same work share nothing, and whoever is killed leaves nothing behind.
    """

    def __init__(self, folder: Path, folders: list[str], *, expected_bytes: int) -> None:
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._folders = folder, folders
        self._count = min(MOST_BUCKETS, 1 + expected_bytes // BUCKET_BYTES)
        self._files: dict[int, IO[bytes]] = {}
        self._pending: list[bytearray] = [bytearray() for _ in range(self._count)]
        self._tickers: list[str] = []
        self._number: dict[str, tuple[int, int]] = {}  # of a ticker: its number and its bucket
        self._sessions: list[str] = []
        self._session_number: dict[str, int] = {}

    def add(self, kind: int, ticker: str, recv_ns: int, session: str, n: int, k: int, payload: bytes) -> None:
        """One event of the folder number `kind`."""
        known = self._number.get(ticker)
        if known is None:
            bucket = google_crc32c.value(ticker.encode()) % self._count
            known = self._number[ticker] = (len(self._tickers), bucket)
            self._tickers.append(ticker)
        number, bucket = known
        pending = self._pending[bucket]
        pending += _HEAD.pack(number, kind, recv_ns, self._of_session(session), n, k, len(payload))
        pending += payload
        if len(pending) >= _FLUSH_BYTES:
            self._flush(bucket)

    def _of_session(self, session: str) -> int:
        number = self._session_number.get(session)
        if number is None:
            number = self._session_number[session] = len(self._sessions)
            self._sessions.append(session)
        return number

    def _flush(self, bucket: int) -> None:
        with _disk_errors(self._folder):
            file = self._files.get(bucket)
            if file is None:
                file = self._files[bucket] = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
            view = memoryview(self._pending[bucket])
            while view:  # a disk that is nearly full takes a piece
                view = view[file.write(view) :]
        self._pending[bucket] = bytearray()

    def files(self) -> Iterator[tuple[str, str, list[Spilled]]]:
        """(folder, ticker, events in the order in which they were added) of every file."""
        for bucket in range(self._count):
            if self._pending[bucket]:
                self._flush(bucket)
            if file := self._files.pop(bucket, None):
                with file, _disk_errors(self._folder):
                    file.seek(0)
                    data = file.read()
                yield from self._of_bucket(data)

    def _of_bucket(self, data: bytes) -> Iterator[tuple[str, str, list[Spilled]]]:
        found: defaultdict[tuple[str, int], list[Spilled]] = defaultdict(list)
        at = 0
        while at < len(data):
            number, kind, recv_ns, session, n, k, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size + length
            event = Spilled(recv_ns, self._sessions[session], n, k, data[at - length : at])
            found[self._tickers[number], kind].append(event)
        for ticker, kind in sorted(found):
            yield self._folders[kind], ticker, found[ticker, kind]

    @property
    def tickers(self) -> int:
        """How many tickers there are."""
        return len(self._tickers)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder} cannot be worked in: {error.strerror or error}") from error

"""The capture log: every received frame, and every mark of our own, on disk before anything reads it.

One folder per session, `<capture>/<environment>/<session>/`, holds segments named by the n of their first record
(`00000000000000000001.log`); `streaming.records` states their format.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streaming import marks, records
from streaming.durable import keep_damaged, sync_folder
from streaming.file_lock import FileLock, Locked
from streaming.records import Record, pack, unpack

SEGMENT_BYTES = 64 * 1024 * 1024
READ_BYTES = 64 * 1024  # a larger buffer costs more to make than it saves while the log is followed closely
LOOK_EVERY_SECONDS = 1.0
_HEADER_BYTES = 1024  # more than any header


class CaptureLogError(Exception):
    """The log cannot be read or written, or is not the one it should be."""


def segments(folder: Path) -> list[Path]:
    """The session's segments in order."""
    return sorted(folder.glob("*.log"))


def is_writer_alive(folder: Path) -> bool:
    """Whether some process holds the session's writer lock."""
    try:
        FileLock(folder / "writer.lock").release()
    except Locked:
        return True
    return False


class CaptureLog:
    """The session's one writer. `on_append` is called after each record, in the caller's thread."""

    def __init__(
        self,
        folder: Path,
        *,
        environment: str,
        session: str,
        clock: Callable[[], int] = time.time_ns,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.on_append: Callable[[], None] = lambda: None
        self._lock = FileLock(folder / "writer.lock")
        self._clock = clock
        self._segment_bytes = segment_bytes
        self._header = records.header(environment, session)
        self.last_n, self.last_received_ns = 0, 0
        self._file = -1
        self._written = 0
        self._unsynced = False
        try:
            if segments(folder):
                self._continue()
            else:
                self._new_segment()
        except BaseException:
            self._lock.release()
            raise

    def append(self, payload: bytes, *, kind: int, connection: int, received_ns: int | None = None) -> int:
        """Write one record and return its n; raises OSError when the disk refuses."""
        now = self._clock() if received_ns is None else received_ns
        stamped = now if now > self.last_received_ns else self.last_received_ns + 1
        data = pack(Record(self.last_n + 1, stamped, connection, kind, payload))
        if self._written + len(data) > self._segment_bytes:
            self._new_segment()
        try:
            _write_all(self._file, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file, self._written)  # half a record would hide what comes after it
            raise
        self._written += len(data)
        self._unsynced = True
        self.last_n += 1
        self.last_received_ns = stamped
        self.on_append()
        return self.last_n

    def mark(self, mark: marks.Mark, *, connection: int = 0) -> int:
        """Append a mark of our own."""
        return self.append(marks.encode(mark), kind=records.Kind.MARK, connection=connection)

    def take_unsynced(self) -> int | None:
        """A file descriptor of its own for `os.fdatasync` in another thread; None when all is on the disk."""
        if not self._unsynced:
            return None
        self._unsynced = False
        return os.dup(self._file)

    def close(self) -> None:
        """Sync and give up the writer lock."""
        os.fdatasync(self._file)
        os.close(self._file)
        self._lock.release()

    def _new_segment(self) -> None:
        if self._file >= 0:
            os.fdatasync(self._file)
            os.close(self._file)
        path = self.folder / f"{self.last_n + 1:020d}.log"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        _write_all(self._file, self._header)
        sync_folder(self.folder)
        self._written = len(self._header)

    def _continue(self) -> None:
        """Go on where a dead writer stopped: cut its torn tail, take the next n.

        What is cut of a damaged segment is kept beside it: sound records may lie behind the damage.
        """
        path = segments(self.folder)[-1]
        data = path.read_bytes()
        end = self._after_header(path, data)
        self.last_n = int(path.stem) - 1
        while (found := unpack(data, end)) is not None:
            record, end = found
            self.last_n, self.last_received_ns = record.n, record.received_ns
        if records.is_followed_by_a_record(data, end):
            keep_damaged(path, data[end:])
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        os.ftruncate(self._file, end)
        self._written = end

    def _after_header(self, path: Path, data: bytes) -> int:
        if not data.startswith(self._header):
            if len(data) < len(self._header) and self._header.startswith(data):
                path.write_bytes(self._header)  # killed while making the segment
                return len(self._header)
            raise CaptureLogError(f"{path} belongs to another session or is of another format")
        return len(self._header)


def _write_all(handle: int, data: bytes) -> None:
    written = os.write(handle, data)
    while written < len(data):
        written += os.write(handle, data[written:])


class CaptureLogReader:
    """Follows a session's log while it grows, from record `from_n` on."""

    def __init__(self, folder: Path, *, from_n: int = 1) -> None:
        self._folder = folder
        self._next_n = from_n
        self._path: Path | None = None
        self._position = 0
        self._has_unread = False
        self._look_at = 0.0  # monotonic

    def read(self, max_bytes: int = READ_BYTES) -> list[Record]:
        """The next whole records, at most about `max_bytes`; empty when there is nothing new yet.

        Raises CaptureLogError where a record is damaged or missing though later ones exist: nothing is passed over.
        """
        if self._path is None and not self._open(self._segment_of(self._next_n)):
            return []
        found = self._read_on(max_bytes)
        if not found and self._open(self._segment_after()):
            return self._read_on(max_bytes)
        if found or not (self._has_unread or self._is_time_to_look()):
            return found
        return self._read_last_of_segment(max_bytes) if self._is_followed() else found

    def _is_time_to_look(self) -> bool:
        """Whether later segments exist, only a look into the folder tells: not at each reading of nothing."""
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_SECONDS
        return True

    def _read_on(self, max_bytes: int) -> list[Record]:
        """Each read begins after the last whole record: a torn tail may since have been cut and written over."""
        found: list[Record] = []
        while not found:
            data = self._bytes_from_position(max_bytes)
            offset = 0
            while (whole := unpack(data, offset)) is not None:
                record, offset = whole
                if record.n >= self._next_n:
                    found.append(record)
            self._position += offset
            self._has_unread = offset < len(data)
            if offset == 0:
                if len(data) < max_bytes:
                    break
                max_bytes *= 2  # one record is larger than what was read
        if found:
            self._next_n = found[-1].n + 1
        return found

    def _bytes_from_position(self, max_bytes: int) -> bytes:
        assert self._path is not None
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""  # read to its end by every reader, and trimmed
        try:
            return os.pread(handle, max_bytes, self._position)
        finally:
            os.close(handle)

    def _is_followed(self) -> bool:
        return self._path is not None and segments(self._folder)[-1] > self._path

    def _read_last_of_segment(self, max_bytes: int) -> list[Record]:
        """A segment that is followed is complete: what cannot be read now never can be."""
        found = self._read_on(max_bytes)
        if not found and self._has_unread:
            raise CaptureLogError(
                f"{self._path} is damaged at byte {self._position}, in record {self._next_n}"
            )
        if not found and self._segment_after() is None:
            raise CaptureLogError(f"{self._folder} lacks record {self._next_n}, and has later ones")
        return found

    def _segment_of(self, n: int) -> Path | None:
        at_or_before = [path for path in segments(self._folder) if int(path.stem) <= n]
        return at_or_before[-1] if at_or_before else None

    def _segment_after(self) -> Path | None:
        """The segment that begins with the very next record, if the present one is read to its end."""
        following = self._folder / f"{self._next_n:020d}.log"
        return following if following != self._path and following.exists() else None

    def _open(self, path: Path | None) -> bool:
        if path is None:
            return False
        length = _header_length(path)
        if length is None:
            return False
        self._path, self._position, self._has_unread = path, length, False
        return True


def _header_length(path: Path) -> int | None:
    found = _header_of(path)
    return found[2] if found else None


def _header_of(path: Path) -> tuple[str, str, int] | None:
    """The segment's header; None while it is being written; raises CaptureLogError."""
    with path.open("rb") as file:
        data = file.read(_HEADER_BYTES)
    try:
        return records.read_header(data)
    except records.NotALog as error:
        raise CaptureLogError(f"{path}: {error}") from error


def names_of(folder: Path) -> tuple[str, str] | None:
    """(environment, session) that a log was written for; None where it has no whole header yet."""
    found = _header_of(segments(folder)[0])
    return found[:2] if found else None


class Cursor:
    """How far one reader of a log got: a small file that only that reader writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> int:
        """The last n that was dealt with; 0 when none was."""
        try:
            return int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def store(self, n: int) -> None:
        """Remember n; a crash leaves the old value or the new one."""
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(str(n))
        temporary.replace(self._path)

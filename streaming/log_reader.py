"""Reading a session's log while it grows: records in the order of n, from whichever segment holds them.

A segment ends where the next one begins: after a failed fsync the writer leaves a segment and writes again, into a
new one, what it does not know to be on the disk. The old one may then hold some of the same n; they are not read.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streaming import records
from streaming.file_lock import FileLock, Locked, is_locked
from streaming.records import Record, unpack

PUBLISHED = "published.cursor"
FOLLOWED = "followed.cursor"  # of the conversation, while the session lives
SHIPPED = "shipped.cursor"
READ_BYTES = 64 * 1024  # a larger buffer costs more to make than it saves while the log is followed closely
LOOK_EVERY_SECONDS = 1.0
_HEADER_BYTES = 1024  # more than any header


class CaptureLogError(Exception):
    """The log cannot be read or written, or is not the one it should be."""


def segments(folder: Path) -> list[Path]:
    """The session's segments in order."""
    return sorted(folder.glob("*.log"))


class CaptureLogReader:
    """Follows a session's log while it grows, from record `from_n` on."""

    def __init__(
        self, folder: Path, *, from_n: int = 1, on_trimmed: Callable[[int, int], object] | None = None
    ) -> None:
        """`on_trimmed` is told the first and last n that were deleted before they were read; without it, an error."""
        self._folder = self.folder = folder
        self._on_trimmed = on_trimmed
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
            return self._read_on(max_bytes) if self._pass_over_trimmed() else []
        found = self._read_on(max_bytes)
        if not found and self._open(self._segment_after()):
            return self._read_on(max_bytes)
        if found or not (self._has_unread or self._is_time_to_look()):
            return found
        return self._read_last_of_segment(max_bytes) if self._following() else found

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
        due = self._next_n
        while not found:
            data = self._bytes_from_position(max_bytes)
            offset = 0
            while (whole := unpack(data, offset)) is not None:
                record, offset = whole
                n = record[0]
                if n == due:
                    found.append(record)
                    due += 1
                elif n > due:
                    raise CaptureLogError(f"{self._path} holds record {n} where {due} was due")
            self._position += offset
            self._has_unread = offset < len(data)
            if offset == 0:
                if len(data) < max_bytes:
                    break
                max_bytes *= 2  # one record is larger than what was read
        self._next_n = due
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

    def _following(self) -> Path | None:
        return next((path for path in segments(self._folder) if self._path and path > self._path), None)

    def _read_last_of_segment(self, max_bytes: int) -> list[Record]:
        """A segment that is followed is complete: what cannot be read now never can be."""
        following = self._following()  # looked for first: what is written meanwhile may end this segment, too
        found = self._read_on(max_bytes)
        if found or following is None:
            return found
        if int(following.stem) <= self._next_n:  # it begins where this one was left
            return self._read_on(max_bytes) if self._open(following) else []
        if self._has_unread:
            raise CaptureLogError(
                f"{self._path} is damaged at byte {self._position}, in record {self._next_n}"
            )
        return self._read_on(max_bytes) if self._pass_over_trimmed() else self._read_whole_or_fail(max_bytes)

    def _pass_over_trimmed(self) -> bool:
        """Deleted from the front to make room: said, and gone on behind."""
        first = next(iter(segments(self._folder)), None)
        if self._on_trimmed is None or first is None or int(first.stem) <= self._next_n:
            return False
        if not self._open(first):
            return False
        self._on_trimmed(self._next_n, int(first.stem) - 1)
        self._next_n = int(first.stem)
        return True

    def _read_whole_or_fail(self, max_bytes: int) -> list[Record]:
        """Its successor may have come while we looked."""
        if self._segment_after() is not None:
            return []
        raise CaptureLogError(f"{self._folder} lacks record {self._next_n}, and has later ones")

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
        found = records.read_header(data)
    except records.NotALog as error:
        raise CaptureLogError(f"{path}: {error}") from error
    if found is None and len(data) == _HEADER_BYTES:
        raise CaptureLogError(f"{path}: its header is damaged")
    return found


def names_of(folder: Path) -> tuple[str, str] | None:
    """(environment, session) that a log was written for; None where it has no whole header yet."""
    found = _header_of(segments(folder)[0])
    return found[:2] if found else None


def is_writer_alive(folder: Path) -> bool:
    """Whether some process writes this session: it holds the writer lock and that of its last segment."""
    try:
        FileLock(folder / "writer.lock").release()
    except Locked:
        return True
    with suppress(FileNotFoundError):
        return any(is_locked(path) for path in segments(folder)[-1:])
    return False


def last_record(folder: Path) -> Record | None:
    """The last whole record of a session's log."""
    for segment in reversed(segments(folder)):
        reader = CaptureLogReader(folder, from_n=int(segment.stem))
        last = None
        while found := reader.read():
            last = found[-1]
        if last is not None:
            return last
    return None


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

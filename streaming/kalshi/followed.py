"""The conversation's own place in the capture log: what it has not read yet is not trimmed."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streaming.dead_session import FOLLOWED
from streaming.kalshi.protocol_error import ProtocolError
from streaming.log_reader import CaptureLogReader, Cursor
from streaming.records import Record


class FollowedLog:
    """Reads a running session's log behind its writer; `give_up` is told when records went before they were read."""

    def __init__(self, folder: Path, give_up: Callable[[ProtocolError], None]) -> None:
        def fell_behind(first_n: int, last_n: int) -> None:
            # Only a full disk takes them: acknowledgements and numbers may have been among them.
            give_up(ProtocolError(f"records {first_n} to {last_n} were removed to make room, unread"))

        self._reader = CaptureLogReader(folder, on_trimmed=fell_behind)
        self._cursor = Cursor(folder / FOLLOWED)
        self._read_n = self._remembered_n = 0

    def read(self) -> list[Record]:
        """The next records; empty when there is nothing new yet."""
        found = self._reader.read()
        if found:
            self._read_n = found[-1].n
        return found

    def remember(self) -> None:
        """Let the shipper know how far this is; a full disk keeps the older place, and so the log."""
        if self._read_n > self._remembered_n:
            with suppress(OSError):
                self._cursor.store(self._read_n)
                self._remembered_n = self._read_n

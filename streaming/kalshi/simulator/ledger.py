"""The ground truth: every frame handed to a socket, written before the socket gets it.

One line a frame: `{"conn":1,"t_ns":...,"frame":"<text as sent>"}`, binary as `frame_b64`. A line may name a
frame that its client never got (a crash in between); a frame without a line does not exist.
"""

import base64
import os
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from registry.refusal import ExitCode, Reason, Refused

TEXT = 0x1  # a text frame's opcode (RFC 6455, 5.2)
_CONNECTION = re.compile(rb'^\{"conn":(\d+),')
_encode = msgspec.json.Encoder().encode


class Ledger:
    """An append-only file that outlives restarts."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _opened(path)
        self.last_connection = _repair(path)

    def record(self, connection: int, frames: Sequence[bytes], *, at_ns: int) -> None:
        """Write frames of one connection, in order, into the file (not only into a buffer of ours)."""
        head = b'{"conn":%d,"t_ns":%d,"frame":' % (connection, at_ns)
        lines = memoryview(b"".join([head + _encode(frame.decode()) + b"}\n" for frame in frames]))
        self._write(lines)

    def record_binary(self, connection: int, frame: bytes, *, at_ns: int) -> None:
        """The same for a frame that is not text."""
        text = base64.b64encode(frame)
        self._write(memoryview(b'{"conn":%d,"t_ns":%d,"frame_b64":"%b"}\n' % (connection, at_ns, text)))

    def record_any(self, connection: int, opcode: int, frame: bytes, *, at_ns: int) -> None:
        """One frame of either kind; text that is no UTF-8 is written as bytes."""
        try:
            if opcode != TEXT:
                raise UnicodeError
            self.record(connection, (frame,), at_ns=at_ns)
        except UnicodeError:
            self.record_binary(connection, frame, at_ns=at_ns)

    def close(self) -> None:
        """Flush to the disk."""
        os.fsync(self._descriptor)
        os.close(self._descriptor)

    def _write(self, lines: memoryview) -> None:
        while lines:
            lines = lines[os.write(self._descriptor, lines) :]


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError as error:
        reason = Reason(
            f"The ledger '{path}' cannot be written: {error.strerror}.",
            "Name a file in an existing folder that you may write to: --ledger FILE.",
        )
        raise Refused([reason], exit_code=ExitCode.PERMISSION) from error


def _repair(path: Path) -> int:
    """Cut a torn last line; returns the highest connection number so far."""
    highest, whole = 0, 0
    with path.open("rb+") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            found = _CONNECTION.match(line)
            highest = max(highest, int(found[1])) if found else highest
        file.truncate(whole)
    return highest

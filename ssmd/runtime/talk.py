"""What `ssmd up` says while it works: lines on stderr, which may be gone when a terminal was closed."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


class Talk:
    """Progress lines, each with the seconds since the start."""

    def __init__(self, out: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._clock = clock
        self._since = clock()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return self._clock() - self._since

    def say(self, line: str) -> None:
        """One line; a closed terminal must not keep anything from being stopped in order."""
        with contextlib.suppress(OSError, ValueError):
            self._out.write(f"[{self.seconds:6.1f} s] {line}\n")
            self._out.flush()


def last_lines(log: Path, *, lines: int = 15) -> str:
    """The end of a log, or that there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"({log}: {error.strerror})"
    return "\n".join(line[:400] for line in text.splitlines()[-lines:]) or "(it is empty)"


def amount(bytes_: int) -> str:
    """A number of bytes for people."""
    size = float(bytes_)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError

"""A session's log as a killed connector leaves it, read by whoever comes after."""

import os
from pathlib import Path

from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.records import Record


def die(log: CaptureLog) -> None:
    """Its writer is gone, and wrote no end mark."""
    log._lock.release()
    os.close(log._file)


def read_all(folder: Path) -> list[Record]:
    """Every record that can be read."""
    reader, found = CaptureLogReader(folder), list[Record]()
    while fresh := reader.read():
        found += fresh
    return found

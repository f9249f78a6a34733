import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from streaming import log_reader
from streaming.capture_log import CaptureLog
from streaming.disk import Disk, DiskFailed
from streaming.log_reader import CaptureLogReader, segments
from streaming.records import Kind
from tests.faults.simdisk import FailingDisk


def log_on(folder: Path, disk: FailingDisk) -> CaptureLog:
    return CaptureLog(folder, environment="demo", session=folder.name, disk=disk, segment_bytes=1 << 20)


def add(log: CaptureLog, count: int) -> None:
    for _ in range(count):
        log.append(b"frame %d" % log.last_n, kind=Kind.TEXT, connection=1)


def numbers(reader: CaptureLogReader) -> list[int]:
    found = list[int]()
    while fresh := reader.read():
        found += [record.n for record in fresh]
    return found


@pytest.mark.parametrize("synced", [0, 5])
def test_a_reader_reads_each_record_once_wherever_it_stands_when_a_segment_is_abandoned(
    tmp_path: Path, synced: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "LOOK_EVERY_SECONDS", 0.0)
    log = log_on(tmp_path / "s", FailingDisk(after=1 if synced else 0, times=1))
    add(log, synced)
    if synced:
        log.sync()
    add(log, 10)
    ahead, behind = CaptureLogReader(log.folder), CaptureLogReader(log.folder)
    seen = numbers(ahead)

    log.sync()
    add(log, 5)

    everything = list(range(1, synced + 16))
    assert seen + numbers(ahead) == everything
    assert numbers(behind) == everything
    assert [int(path.stem) for path in segments(log.folder)] == ([1, 6] if synced else [1])


def test_the_second_failure_of_a_disk_is_the_last(tmp_path: Path) -> None:
    log = log_on(tmp_path / "s", FailingDisk(after=0, times=1000))
    add(log, 3)

    with pytest.raises(DiskFailed):
        log.sync()


def test_copies_are_kept_until_they_are_on_the_disk(tmp_path: Path) -> None:
    log = log_on(tmp_path / "s", FailingDisk(after=1000, times=1))
    add(log, 100)
    assert (log.unsynced_bytes > 3_000, log.unsynced_seconds > 0) == (True, True)

    log.sync()

    assert (log.unsynced_bytes, log.unsynced_seconds) == (0, 0.0)


class FullThenFailing(Disk):
    """Takes `room` bytes, and no more; refuses so many writes and syncs with EIO."""

    room = MANY = 1 << 30
    bad_writes = bad_syncs = 0

    def write(self, handle: int, data: bytes) -> int:
        if self.bad_writes:
            self.bad_writes -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = super().write(handle, data[: self.room])
        self.room -= count
        return count

    def sync(self, handle: int) -> None:
        if self.bad_syncs:
            self.bad_syncs -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(handle)


@pytest.mark.parametrize("failing", ["write", "sync"])
def test_what_a_full_disk_took_by_half_is_whole_in_the_segment_that_a_failure_makes(
    tmp_path: Path, failing: str
) -> None:
    turns = list[Callable[[], None]]()
    disk = FullThenFailing()
    log = CaptureLog(tmp_path / "s", environment="demo", session="s", schedule=turns.append, disk=disk)

    def turn() -> None:
        while turns:
            turns.pop(0)()

    add(log, 5)
    turn()
    log.sync()
    disk.room = 50
    add(log, 5)
    turn()
    assert (log.is_stuck, log.begin_sync()) == (True, None)  # what is not handed over cannot be synced

    disk.room = disk.MANY
    disk.bad_writes, disk.bad_syncs = (1, 0) if failing == "write" else (0, 1)
    log.try_again()
    log.sync()
    add(log, 1)
    turn()
    log.sync()

    assert (log.failures, len(segments(log.folder))) == (1, 2)
    assert numbers(CaptureLogReader(log.folder)) == list(range(1, 12))

from pathlib import Path

import pytest

from streaming import log_reader
from streaming.capture_log import CaptureLog
from streaming.disk import DiskFailed
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

import errno
import os
from pathlib import Path

import pytest

from streaming.capture_log import CaptureLog
from streaming.disk import Disk, DiskFailed
from streaming.disk_job import DiskJob
from streaming.log_reader import CaptureLogReader, Cursor, segments
from streaming.records import Kind
from streaming.room import trim_shipped
from tests.traced import traced


class Counting(Disk):
    syncs = 0

    def sync(self, handle: int) -> None:
        self.syncs += 1
        super().sync(handle)


def test_a_job_is_done_once_whoever_comes_to_it_first(tmp_path: Path) -> None:
    disk = Counting()
    job = DiskJob(disk, handle=os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT))

    job.finish()
    job.run()

    assert disk.syncs == 1


def test_a_log_is_closed_though_its_job_was_never_run(tmp_path: Path) -> None:
    log = CaptureLog(tmp_path / "s", environment="demo", session="s", schedule=lambda call: None)
    log.append(b"frame", kind=Kind.TEXT, connection=1)
    log.flush()
    assert log.begin_sync() is not None

    log.append(b"another", kind=Kind.TEXT, connection=1)
    log.close()

    assert [record.payload for record in CaptureLogReader(log.folder).read()] == [b"frame", b"another"]


class Nameless(Disk):
    """Cannot put names on the disk, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    def sync_name(self, path: Path) -> None:
        if len(segments(path.parent)) > 1 and self.times:
            self.times -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync_name(path)


def test_a_segment_whose_name_could_not_be_synced_is_written_to_all_the_same(tmp_path: Path) -> None:
    log = CaptureLog(
        tmp_path / "s", environment="demo", session="s", disk=Nameless(times=1), segment_bytes=400
    )
    for _ in range(60):
        log.append(b"frame", kind=Kind.TEXT, connection=1)
    second = int(segments(log.folder)[1].stem)

    assert log.failures == 1
    reader, found = CaptureLogReader(log.folder), list[int]()
    while fresh := reader.read():
        found += [record.n for record in fresh]
    assert found == list(range(1, 61))
    Cursor(log.folder / "shipped.cursor").store(second + 2)
    trim_shipped(log.folder)
    assert [record.n for record in CaptureLogReader(log.folder, from_n=second).read()][:3] == [
        second,
        second + 1,
        second + 2,
    ]


def test_the_second_name_that_could_not_be_synced_is_the_last(tmp_path: Path) -> None:
    log = CaptureLog(
        tmp_path / "s", environment="demo", session="s", disk=Nameless(times=2), segment_bytes=400
    )

    with pytest.raises(DiskFailed):
        for _ in range(60):
            log.append(b"frame", kind=Kind.TEXT, connection=1)


def test_a_segment_is_begun_once_the_one_before_it_is_on_the_disk_and_has_its_name_before_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = os.open(tmp_path / "1.log", os.O_WRONLY | os.O_CREAT)
    job = DiskJob(Disk(), handle=old, path=tmp_path / "2.log", data=b"header")
    calls = traced(monkeypatch)

    job.run()

    assert calls == [
        "fdatasync 1.log",
        "write 2.log.new",
        "fdatasync 2.log.new",
        "replace 2.log",
        f"fsync {tmp_path.name}",
    ]
    os.close(job.created)


def test_no_segment_follows_one_that_could_not_be_synced(tmp_path: Path) -> None:
    class Failing(Disk):
        def sync(self, handle: int) -> None:
            if os.fstat(handle).st_size == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().sync(handle)

    old = os.open(tmp_path / "1.log", os.O_WRONLY | os.O_CREAT)
    job = DiskJob(Failing(), handle=old, path=tmp_path / "2.log", data=b"header")

    job.run()

    assert (job.sync_error is not None, job.created, (tmp_path / "2.log").exists()) == (True, -1, False)


def test_the_folders_of_a_log_have_their_names_on_the_disk_before_its_first_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = traced(monkeypatch)

    CaptureLog(tmp_path / "demo" / "s", environment="demo", session="s").close()

    assert calls[:4] == ["mkdir demo", f"fsync {tmp_path.name}", "mkdir s", "fsync demo"]

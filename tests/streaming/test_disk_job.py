import os
from pathlib import Path

from streaming.capture_log import CaptureLog
from streaming.disk import Disk
from streaming.disk_job import DiskJob
from streaming.log_reader import CaptureLogReader
from streaming.records import Kind


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

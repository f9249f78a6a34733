import json
import signal
import subprocess
import sys
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from archive.raw import part_keys, read_manifest
from archive.shipper import Shipper, environment_lock
from archive.store import DirectoryStore, StoreError, bind_owner
from registry.refusal import ExitCode, Refused
from streaming import marks
from streaming.capture_log import CaptureLog, Cursor, segments
from streaming.dead_session import PUBLISHED
from streaming.records import Kind, Record
from tests.archive.conftest import FEED, NOON, SessionMaker, add_trades, archived, die, make_config, trade

DAY = date(2025, 12, 14)
HOUR_NS = 3_600 * 10**9


def read_all(log: CaptureLog) -> list[Record]:
    from streaming.capture_log import CaptureLogReader

    reader, found = CaptureLogReader(log.folder), []
    while fresh := reader.read():
        found += fresh
    return found


def test_every_record_is_archived_once_and_byte_for_byte(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 50)

    ship()

    assert archived(store) == read_all(log)
    assert [record.n for record in archived(store)] == list(range(1, 52))


def test_shipping_goes_on_after_the_last_committed_part(session: SessionMaker, ship: Any, store: Any) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    (log.folder / "shipped.cursor").write_text("3")  # only a cache: the store is the truth
    add_trades(log, 10)

    ship()

    assert archived(store) == read_all(log)
    assert [key.first_n for key in part_keys(store, FEED, DAY)] == [1, 12]


def test_a_part_without_manifest_does_not_count_and_does_no_harm(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    store.delete(key.manifest)
    add_trades(log, 10)

    ship()

    assert archived(store) == read_all(log)
    assert store.head(key.data) is not None


def test_the_same_part_put_again_is_the_same_object(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    before = store.get(key.data), store.get(key.manifest)
    store.delete(key.manifest)

    ship()

    assert (store.get(key.data), store.get(key.manifest)) == before


def test_an_orphan_compressed_otherwise_is_taken_for_what_it_holds(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    import zstandard

    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(store.get(key.data))
    store.delete(key.manifest)
    store.delete(key.data)
    store.put_if_absent(key.data, zstandard.ZstdCompressor(level=19, write_checksum=True).compress(lines))

    ship()

    assert archived(store) == read_all(log)


def test_an_orphan_of_other_lines_is_never_overwritten_and_stops_its_session(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    ship()
    [key] = part_keys(store, FEED, DAY)
    store.delete(key.manifest)
    store.delete(key.data)
    store.put_if_absent(key.data, b"something else")

    ship()

    assert archived(store) == []
    assert store.get(key.data) == b"something else"
    assert REGISTRY.get_sample_value("ssmd_shipper_sessions_blocked", {"feed": FEED}) == 1


def test_a_part_ends_with_its_hour(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session(at_ns=NOON + HOUR_NS - 5_000_000)
    add_trades(log, 10)

    ship()

    assert [(key.first_n, key.last_n) for key in part_keys(store, FEED, DAY)] == [(1, 4), (5, 11)]


def test_a_day_lies_under_its_own_date(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session(at_ns=NOON + 12 * HOUR_NS - 5_000_000)
    add_trades(log, 10)

    ship()

    [before] = part_keys(store, FEED, DAY)
    [after] = part_keys(store, FEED, date(2025, 12, 15))
    assert (before.last_n, after.first_n) == (4, 5)
    add_trades(log, 1)
    ship()
    assert archived(store) == read_all(log)


def test_a_part_ends_at_its_size(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    log = session()
    add_trades(log, 100)

    ship(part_bytes=2_000)

    assert len(part_keys(store, FEED, DAY)) > 5
    assert archived(store) == read_all(log)


def test_a_part_is_committed_when_its_seconds_are_over(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    shipper = Shipper(make_config(capture, store, part_seconds=0), threading.Event())

    shipper.step()

    assert archived(store) == read_all(log)


def test_a_dead_session_gets_its_crash_and_end_marks_and_is_shipped_whole(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    die(log)
    with segments(log.folder)[-1].open("ab") as file:
        file.write(b"\x30\0\0\0torn")

    ship()

    kept = archived(store)
    assert [record.n for record in kept] == list(range(1, 9))
    gap, end = (marks.decode(record.payload) for record in kept[-2:])
    assert isinstance(gap, marks.GapOpen)
    assert (gap.cause, gap.after_n, gap.from_ns) == ("process_crash", 6, kept[5].received_ns)
    assert end == marks.SessionEnd(reason="process_crash")


def test_a_tail_that_was_seen_torn_and_then_cut_is_shipped_right(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 5)
    with segments(log.folder)[-1].open("ab") as file:
        file.write(b"\x30\0\0\0torn and longer than any mark that will be written in its place" * 10)
    shipper = Shipper(make_config(capture, store), halt := threading.Event())
    shipper.step()
    die(log)

    shipper._housekeeping_due = 0
    shipper.step()
    halt.set()
    shipper.work()

    assert [record.n for record in archived(store)] == list(range(1, 9))


def test_a_living_session_gets_no_end_mark(session: SessionMaker, ship: Any, store: DirectoryStore) -> None:
    add_trades(session(), 5)

    ship()

    assert len(archived(store)) == 6


def test_segments_are_deleted_when_shipped_and_published(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    before = segments(log.folder)
    ship()
    assert segments(log.folder) == before  # nothing is published yet

    Cursor(log.folder / PUBLISHED).store(60)
    ship()

    left = segments(log.folder)
    assert len(left) < len(before)
    assert int(left[0].stem) <= 60 < int(left[1].stem)


def test_shipping_goes_on_though_the_segment_read_last_was_deleted(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    shipper = Shipper(make_config(capture, store, part_seconds=0), threading.Event())
    for _ in range(20):
        add_trades(log, 7)
        Cursor(log.folder / PUBLISHED).store(log.last_n)
        shipper.step()

    assert [record.n for record in archived(store)] == list(range(1, 142))
    assert len(segments(log.folder)) <= 2


def test_a_trimmed_session_is_taken_up_where_it_stands(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    Cursor(log.folder / PUBLISHED).store(log.last_n)
    ship()
    assert int(segments(log.folder)[0].stem) > 1
    add_trades(log, 5)

    ship()

    assert [record.n for record in archived(store)] == list(range(1, 107))
    assert read_manifest(store, part_keys(store, FEED, DAY)[-1]).connector_version == "0.1.0"


def test_an_ended_session_keeps_its_last_segment_until_it_is_removed(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    log.mark(marks.SessionEnd(reason="stopped"))
    die(log)

    ship()  # its records are older than an hour: the folder goes with the same turn

    assert len(archived(store)) == 102
    ship()
    assert not log.folder.exists()


@pytest.mark.parametrize(
    ("age_s", "announced", "remains"), [(60, True, True), (700, True, False), (700, False, True)]
)
def test_an_ended_sessions_folder_stays_ten_minutes_or_an_hour(
    session: SessionMaker, ship: Any, age_s: int, announced: bool, remains: bool
) -> None:
    import time

    log = session(at_ns=time.time_ns() - age_s * 10**9)
    log.mark(marks.SessionEnd(reason="stopped"))
    die(log)
    if announced:
        (log.folder / "announced").touch()
    ship()

    ship()

    assert log.folder.exists() == remains


def test_a_damaged_log_is_reported_and_does_not_stop_the_others(
    session: SessionMaker, ship: Any, store: DirectoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = session("kalshi-sim-1", segment_bytes=2_000), session("kalshi-sim-2")
    add_trades(bad, 50)
    add_trades(good, 50)
    first = segments(bad.folder)[0]
    damaged = bytearray(first.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    first.write_bytes(damaged)

    ship()

    assert len(archived(store, "kalshi-sim-2")) == 51
    assert len(archived(store, "kalshi-sim-1")) < 51


def test_a_log_of_another_environment_is_not_shipped(
    capture: Path, session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    log.folder.rename(capture / "kalshi-sim-9")

    ship()

    assert archived(store, "kalshi-sim-9") == archived(store) == []


class FailingStore(DirectoryStore):
    """Fails every n-th time, before or after the put was done."""

    def __init__(self, root: Path, *, every: int) -> None:
        super().__init__(root)
        self._every, self._count = every, 0

    def put_if_absent(self, key: str, data: bytes) -> bool:
        self._count += 1
        if self._count % self._every == 0:
            raise StoreError("no answer")
        was_new = super().put_if_absent(key, data)
        if self._count % self._every == 1:
            raise StoreError("the answer was lost")
        return was_new


def test_a_store_that_fails_again_and_again_loses_and_doubles_nothing(
    session: SessionMaker, capture: Path, tmp_path: Path
) -> None:
    log = session()
    add_trades(log, 30)
    store = FailingStore(tmp_path / "raw", every=3)
    shipper = Shipper(make_config(capture, store, part_bytes=4_000, part_seconds=0), threading.Event())
    shipper._committer.bind()

    while shipper.step():
        continue

    assert archived(store) == read_all(log)


def test_without_the_store_the_shipper_stops_all_the_same_and_leaves_the_log(
    session: SessionMaker, capture: Path, tmp_path: Path
) -> None:
    log = session()
    add_trades(log, 5)
    halt = threading.Event()
    shipper = Shipper(make_config(capture, FailingStore(tmp_path / "raw", every=1)), halt)
    halt.set()

    shipper.work()

    assert len(read_all(log)) == 6


def test_a_prefix_belongs_to_one_environment(store: DirectoryStore) -> None:
    bind_owner(store, FEED, "demo")
    bind_owner(store, FEED, "demo")

    with pytest.raises(Refused, match="belongs to environment 'demo'") as caught:
        bind_owner(store, FEED, "other")

    assert caught.value.exit_code == ExitCode.CONFLICT


def test_a_second_shipper_for_the_environment_is_refused(capture: Path, store: DirectoryStore) -> None:
    config = make_config(capture, store)

    with environment_lock(config), pytest.raises(Refused, match="already running") as caught:
        environment_lock(config)

    assert caught.value.exit_code == ExitCode.CONFLICT
    environment_lock(config).release()


def test_an_unwritable_capture_folder_is_named(tmp_path: Path, store: DirectoryStore) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(Refused, match="cannot be written") as caught:
        environment_lock(make_config(tmp_path / "file" / "demo", store))

    assert caught.value.exit_code == ExitCode.PERMISSION


CHILD = """
import sys
from pathlib import Path
from archive.shipper import ShipperConfig, run
from archive.store import DirectoryStore
from registry.refusal import Refused

try:
    run(ShipperConfig(environment="demo", feed="kalshi-sim", capture=Path(sys.argv[1]), version="0.1.0",
                      store=DirectoryStore(Path(sys.argv[2])), part_seconds=0.02, part_bytes=4000))
except Refused as refused:
    print(refused, file=sys.stderr)
    sys.exit(refused.exit_code)
"""


def start_process(capture: Path, store: DirectoryStore) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(capture), str(store.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_log(child: "subprocess.Popen[str]", msg: str, *, times: int = 1) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        times -= json.loads(line)["msg"] == msg
        if times == 0:
            return
    raise AssertionError(f"{msg!r} was not logged")


def test_sigterm_commits_everything_readable_and_exits_0(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 300)
    child = start_process(capture, store)
    wait_for_log(child, "part committed")
    add_trades(log, 300)

    child.send_signal(signal.SIGTERM)

    child.communicate(timeout=20)
    assert child.returncode == 0
    assert archived(store) == read_all(log)


def test_two_shipper_processes_one_is_refused_with_exit_code_5(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    add_trades(session(), 5)
    first = start_process(capture, store)
    wait_for_log(first, "part committed")

    second = start_process(capture, store)
    _, complaint = second.communicate(timeout=20)

    assert second.returncode == 5
    assert "already running" in complaint
    first.terminate()
    first.communicate(timeout=20)


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_and_doubles_nothing(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    import random
    import time

    chance = random.Random(7)
    log = session(segment_bytes=20_000)
    kept: list[Record] = []
    for _ in range(8):
        child = start_process(capture, store)
        until = time.monotonic() + chance.uniform(0.4, 1.0)
        while time.monotonic() < until:
            add_trades(log, 40)
            Cursor(log.folder / PUBLISHED).store(log.last_n)
            time.sleep(0.005)
        child.kill()
        child.communicate()
    kept = list(range(1, log.last_n + 1))  # type: ignore[arg-type]
    log.mark(marks.SessionEnd(reason="stopped"))

    child = start_process(capture, store)
    wait_for_log(child, "session taken up")
    child.terminate()
    child.communicate(timeout=30)

    found = archived(store)
    assert [record.n for record in found] == [*kept, log.last_n]
    assert all(record.payload == trade((record.n - 2) % 40) for record in found if record.kind == Kind.TEXT)


def test_a_cursor_that_cannot_be_stored_does_not_keep_records_from_the_archive(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 10)
    (log.folder / "shipped.tmp").mkdir()  # writing the cursor fails, as on a full disk

    ship()

    assert archived(store) == read_all(log)


def test_a_log_that_is_shorter_than_its_archive_is_reported(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session()
    add_trades(log, 50)
    ship()
    die(log)
    [path] = segments(log.folder)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    ship()

    assert path.read_bytes() == data
    assert REGISTRY.get_sample_value("ssmd_shipper_sessions_blocked", {"feed": FEED}) == 1.0


def test_one_session_of_an_odd_shape_does_not_stop_the_others(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    odd, sound = session("odd"), session("sound")
    add_trades(odd, 5)
    odd.append(b"not a mark", kind=Kind.MARK, connection=0)
    add_trades(sound, 5)

    ship()

    assert len(archived(store, "sound")) == 6

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming import records
from streaming.capture_log import (
    CaptureLog,
    CaptureLogError,
    CaptureLogReader,
    Cursor,
    is_writer_alive,
    segments,
)
from streaming.file_lock import Locked
from streaming.records import Kind, Record
from tests.streaming.dead_log import die


def open_log(folder: Path, *, segment_bytes: int = 1 << 20, environment: str = "demo") -> CaptureLog:
    return CaptureLog(
        folder, environment=environment, session="s", clock=lambda: 1_000, segment_bytes=segment_bytes
    )


def add(log: CaptureLog, count: int) -> None:
    for _ in range(count):
        log.append(b"frame %d" % log.last_n, kind=Kind.TEXT, connection=1)


def read_all(folder: Path, *, from_n: int = 1, max_bytes: int = 1 << 20) -> list[Record]:
    reader, found = CaptureLogReader(folder, from_n=from_n), []
    while fresh := reader.read(max_bytes):
        found += fresh
    return found


@given(
    st.integers(1, 2**63),
    st.integers(0, 2**63),
    st.integers(0, 2**31),
    st.sampled_from([0, 1, 2]),
    st.binary(),
)
def test_a_record_comes_back(n: int, received_ns: int, connection: int, kind: int, payload: bytes) -> None:
    record = Record(n, received_ns, connection, kind, payload)
    data = records.pack(record)

    assert records.unpack(data, 0) == (record, len(data))
    assert all(records.unpack(data[:length], 0) is None for length in range(len(data)))


def test_every_flipped_bit_of_a_record_is_noticed() -> None:
    data = records.pack(Record(7, 8, 9, 0, b"payload"))

    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert records.unpack(bytes(flipped), 0) is None


def test_records_are_numbered_from_1_and_their_times_rise_strictly(tmp_path: Path) -> None:
    add(open_log(tmp_path / "s"), 5)

    found = read_all(tmp_path / "s")

    assert [record.n for record in found] == [1, 2, 3, 4, 5]
    assert [record.received_ns for record in found] == [1_000, 1_001, 1_002, 1_003, 1_004]


@pytest.mark.parametrize("max_bytes", [1, 40, 100, 1 << 20])
def test_a_log_of_many_segments_reads_as_one(tmp_path: Path, max_bytes: int) -> None:
    add(open_log(tmp_path / "s", segment_bytes=200), 50)

    assert len(segments(tmp_path / "s")) > 5
    assert [record.n for record in read_all(tmp_path / "s", max_bytes=max_bytes)] == list(range(1, 51))
    assert [record.n for record in read_all(tmp_path / "s", from_n=33, max_bytes=max_bytes)] == list(
        range(33, 51)
    )


def test_a_reader_follows_a_growing_log(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s", segment_bytes=200)
    reader, seen = CaptureLogReader(tmp_path / "s"), []
    for _ in range(20):
        add(log, 3)
        while fresh := reader.read():
            seen += [record.n for record in fresh]

    assert seen == list(range(1, 61))


def test_a_log_has_one_writer(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s")

    with pytest.raises(Locked):
        open_log(tmp_path / "s")
    assert is_writer_alive(tmp_path / "s")
    log.close()
    assert not is_writer_alive(tmp_path / "s")


def test_a_dead_writers_log_goes_on_with_the_next_n_wherever_it_was_torn(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s")
    add(log, 3)
    die(log)
    [path] = segments(tmp_path / "s")
    whole = path.read_bytes()
    sizes = [len(records.pack(record)) for record in read_all(tmp_path / "s")]

    for length in range(len(whole) - sum(sizes), len(whole)):
        path.write_bytes(whole[:length])
        again = open_log(tmp_path / "s")
        add(again, 1)
        again.close()
        found = [record.n for record in read_all(tmp_path / "s")]
        assert found == list(range(1, len(found) + 1))


def test_a_segment_torn_in_its_header_is_made_whole(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s", segment_bytes=200)
    add(log, 3)
    die(log)
    (tmp_path / "s" / f"{4:020d}.log").write_bytes(b"SSMD")

    again = open_log(tmp_path / "s")
    add(again, 1)

    assert [record.n for record in read_all(tmp_path / "s")] == [1, 2, 3, 4]


def test_a_reader_that_saw_a_torn_tail_reads_what_was_written_in_its_place(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s")
    add(log, 3)
    with segments(tmp_path / "s")[0].open("ab") as file:
        file.write(b"\x40\0\0\0" + b"torn" * 9)
    reader = CaptureLogReader(tmp_path / "s")
    assert len(reader.read()) == 3
    die(log)

    add(open_log(tmp_path / "s"), 2)

    assert [record.n for record in reader.read()] == [4, 5]


def test_a_reader_goes_on_though_the_segment_it_read_to_the_end_is_gone(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s", segment_bytes=200)
    add(log, 3)
    reader = CaptureLogReader(tmp_path / "s")
    while reader.read():
        continue
    add(log, 3)
    while reader.read():
        continue
    first = segments(tmp_path / "s")[0]
    add(log, 10)
    for path in segments(tmp_path / "s"):
        if path != segments(tmp_path / "s")[-1] and int(path.stem) <= int(first.stem):
            path.unlink()

    assert reader.read()[0].n == 7


def test_a_damaged_record_before_later_segments_is_not_passed_over(tmp_path: Path) -> None:
    add(open_log(tmp_path / "s", segment_bytes=300), 50)
    first = segments(tmp_path / "s")[0]
    data = bytearray(first.read_bytes())
    data[-3] ^= 1
    first.write_bytes(data)

    with pytest.raises(CaptureLogError, match="is damaged at byte"):
        read_all(tmp_path / "s")


def test_a_log_of_another_environment_is_not_continued(tmp_path: Path) -> None:
    open_log(tmp_path / "s").close()

    with pytest.raises(CaptureLogError, match="belongs to another session"):
        open_log(tmp_path / "s", environment="other")


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / f"{1:020d}.log").write_bytes(b"something else entirely")

    with pytest.raises(CaptureLogError, match="not a capture log"):
        read_all(tmp_path)


def test_a_cursor_that_cannot_be_read_is_at_0(tmp_path: Path) -> None:
    cursor = Cursor(tmp_path / "x.cursor")
    assert cursor.load() == 0
    (tmp_path / "x.cursor").write_text("")
    assert cursor.load() == 0
    cursor.store(12)
    assert cursor.load() == 12


def test_a_missing_segment_is_an_error_not_silence(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s", segment_bytes=300)
    add(log, 40)
    segments(log.folder)[2].unlink()

    with pytest.raises(CaptureLogError, match="lacks record"):
        read_all(log.folder)


def test_a_segment_cut_between_two_records_is_an_error_not_silence(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s", segment_bytes=300)
    add(log, 40)
    cut = segments(log.folder)[1]
    first, *_ = [record for record in read_all(log.folder) if record.n == int(cut.stem)]
    header = records.header("demo", "s")
    cut.write_bytes(header + records.pack(first))

    with pytest.raises(CaptureLogError, match=f"lacks record {first.n + 1}"):
        read_all(log.folder)


def damaged_log(folder: Path) -> bytes:
    """A dead log with one flipped byte in its middle; returns its bytes."""
    log = open_log(folder)
    add(log, 100)
    die(log)
    path = segments(folder)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_nothing_behind_a_damage_is_thrown_away(tmp_path: Path) -> None:
    data = damaged_log(tmp_path / "s")

    log = open_log(tmp_path / "s")

    path = segments(log.folder)[0]
    kept = path.with_name(f"{path.name}.damaged")
    assert 0 < log.last_n < 100
    assert path.read_bytes() + kept.read_bytes() == data


def test_a_plain_torn_tail_is_not_kept(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s")
    add(log, 10)
    die(log)
    path = segments(log.folder)[0]
    os.truncate(path, path.stat().st_size - 3)

    assert open_log(log.folder).last_n == 9
    assert sorted(one.name for one in log.folder.iterdir()) == [path.name, "writer.lock"]


def test_a_log_that_cannot_be_continued_is_not_locked(tmp_path: Path) -> None:
    log = open_log(tmp_path / "s")
    log.close()

    with pytest.raises(CaptureLogError):
        open_log(log.folder, environment="other")

    assert not is_writer_alive(log.folder)

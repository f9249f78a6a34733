"""A capture log's damage is named with its segment, its byte and the records that cannot be read."""

from pathlib import Path

import pytest

from archive.log_damage import examine_log, examine_logs
from streaming.dead_session import SHIPPED
from streaming.log_reader import CaptureLogError, CaptureLogReader, Cursor, segments
from tests.damage.day import log_in, read_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return log_in(tmp_path)


def test_a_sound_log_has_no_findings(log: Path) -> None:
    assert list(examine_log(log)) == []
    assert list(examine_logs(log.parent)) == []
    assert len(segments(log)) > 2


def test_a_flipped_bit_costs_its_record_and_no_other(log: Path) -> None:
    path = segments(log)[0]
    data = bytearray(path.read_bytes())
    data[2_000] ^= 4
    path.write_bytes(data)

    [finding] = examine_logs(log.parent)

    assert (finding.key, finding.rows) == (str(path), 1)
    assert finding.offset is not None
    assert 1_000 < finding.offset <= 2_000
    assert finding.problem.startswith("records ")


def test_a_segment_that_holds_another_ones_records_is_refused_by_the_reader(log: Path) -> None:
    first, second, third, *_ = segments(log)
    second.write_bytes(third.read_bytes())

    with pytest.raises(CaptureLogError, match=f"where {int(second.stem)} was due"):
        read_log(log)
    assert [finding.key for finding in examine_log(log)] == [str(second)]
    assert len(CaptureLogReader(log).read()) == int(second.stem) - 1
    assert first.exists()


def test_a_log_shorter_than_what_was_shipped_is_named(log: Path) -> None:
    path = segments(log)[-1]
    path.write_bytes(path.read_bytes()[:200])

    problems = [finding.problem for finding in examine_log(log, is_growing=True)]

    assert any("were shipped" in problem for problem in problems)


def test_a_log_that_is_shipped_on_while_it_is_read_is_sound(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, last_n = Path.read_bytes, read_log(log)[-1].n

    def read_and_ship_on(path: Path) -> bytes:
        data = read(path)
        Cursor(log / SHIPPED).store(last_n + 66)
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_ship_on)

    assert list(examine_log(log, is_growing=True)) == []

from pathlib import Path

import pytest

from registry.refusal import ExitCode, Refused
from streaming.handover import Seat, seat
from streaming.kalshi.shards import Shard


def test_a_second_connector_of_an_environment_is_refused(tmp_path: Path) -> None:
    with seat(tmp_path), pytest.raises(Refused) as refused, seat(tmp_path):
        pass

    assert refused.value.exit_code == ExitCode.CONFLICT
    assert "--take-over" in str(refused.value)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Refused) as refused, seat(tmp_path / "file" / "demo"):
        pass

    assert refused.value.exit_code == ExitCode.PERMISSION


def test_connectors_of_different_shards_do_not_disturb_each_other(tmp_path: Path) -> None:
    with seat(tmp_path, Shard(1, 2)) as one, seat(tmp_path, Shard(2, 2)) as other:
        assert not one.is_waiting
        assert not other.is_waiting


def test_who_takes_over_waits_until_the_seat_is_free(tmp_path: Path) -> None:
    first, second = Seat(tmp_path), Seat(tmp_path, take_over=True)
    assert second.is_waiting
    assert first.successor() == ""

    second.ask("new")
    assert first.successor() == "new"
    assert not second.try_to_take()
    first.release()

    assert second.try_to_take()
    assert second.successor() == ""


def test_only_one_can_take_over_at_a_time(tmp_path: Path) -> None:
    with seat(tmp_path), seat(tmp_path, take_over=True), pytest.raises(Refused) as refused:
        Seat(tmp_path / "elsewhere").release()
        with seat(tmp_path, take_over=True):
            pass

    assert "is being taken over already" in str(refused.value)


def test_a_successor_that_is_gone_is_none(tmp_path: Path) -> None:
    first, second = Seat(tmp_path), Seat(tmp_path, take_over=True)
    second.ask("new")

    second.release()

    assert first.successor() == ""


def test_where_nobody_records_there_is_nothing_to_take_over(tmp_path: Path) -> None:
    with seat(tmp_path, take_over=True) as one:
        assert not one.is_waiting

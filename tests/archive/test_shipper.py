import threading
from pathlib import Path
from typing import Any

import pytest

from archive.shipper import Shipper, environment_lock
from archive.store import DirectoryStore
from registry.refusal import ExitCode, Refused
from streaming.capture_log import segments
from streaming.records import Kind
from tests.archive.conftest import SessionMaker, add_trades, archived, make_config


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


def test_one_session_of_an_odd_shape_does_not_stop_the_others(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    odd, sound = session("odd"), session("sound")
    add_trades(odd, 5)
    odd.append(b"not a mark", kind=Kind.MARK, connection=0)
    add_trades(sound, 5)

    ship()

    assert len(archived(store, "sound")) == 6


def test_a_shipper_that_is_stopped_before_its_first_turn_ships_what_there_is(
    session: SessionMaker, capture: Path, store: DirectoryStore
) -> None:
    add_trades(session(), 20)
    halt = threading.Event()
    halt.set()

    Shipper(make_config(capture, store), halt).work()

    assert len(archived(store)) == 21

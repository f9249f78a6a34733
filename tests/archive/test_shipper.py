import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from archive import session_shipper
from archive.shipper import Shipper, environment_lock
from archive.store import DirectoryStore
from registry.refusal import ExitCode, Refused
from streaming import marks
from streaming.capture_log import CaptureLog, Cursor, segments
from streaming.dead_session import FOLLOWED, PUBLISHED
from streaming.records import Kind, header, unpack
from streaming.room import trim_shipped
from tests.archive.conftest import (
    ENVIRONMENT,
    FEED,
    SessionMaker,
    add_trades,
    archived,
    make_config,
    read_all,
)
from tests.traced import traced


def spoil(log: CaptureLog, *, segment: int) -> int:
    """Damage a record in the middle of a segment; returns its n."""
    path = segments(log.folder)[segment]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    at, n = len(header(ENVIRONMENT, log.folder.name)), int(path.stem)
    while (found := unpack(bytes(data), at)) is not None:
        at, n = found[1], n + 1
    return n


def test_a_damage_that_a_living_session_may_still_read_waits_and_stops_nothing_else(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    bad, good = session("kalshi-sim-1", segment_bytes=2_000), session("kalshi-sim-2")
    add_trades(bad, 50)
    add_trades(good, 50)
    lost = spoil(bad, segment=1)

    ship()

    assert len(archived(store, "kalshi-sim-2")) == 51
    assert [record.n for record in archived(store, "kalshi-sim-1")] == list(range(1, lost))
    assert REGISTRY.get_sample_value("ssmd_shipper_sessions_blocked", {"feed": FEED}) == 1.0


def test_a_damaged_segment_of_a_living_session_costs_one_record(
    session: SessionMaker, ship: Any, store: DirectoryStore
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 50)
    whole = read_all(log)
    lost = spoil(log, segment=1)
    for name in (PUBLISHED, FOLLOWED):
        Cursor(log.folder / name).store(51)

    ship()
    ship()

    found = archived(store)
    assert [record for record in found if record.n != lost] == [
        record for record in whole if record.n != lost
    ]
    mark = marks.decode(found[lost - 1].payload)
    assert isinstance(mark, marks.GapOpen)
    assert (mark.cause, mark.after_n) == ("capture_loss", lost - 1)


def test_a_segment_that_the_connector_deletes_at_that_very_moment_is_no_trouble(
    session: SessionMaker, store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 100)
    for name in (PUBLISHED, FOLLOWED):
        Cursor(log.folder / name).store(log.last_n)
    before = len(segments(log.folder))

    def seen_and_gone(folder: Path) -> list[Path]:
        found = segments(folder)
        trim_shipped(folder)
        return found

    shipper = Shipper(make_config(log.folder.parent, store, part_bytes=4_000), threading.Event())
    monkeypatch.setattr(session_shipper, "segments", seen_and_gone)
    for _ in range(12):
        shipper.step()

    assert (list(shipper._sessions), shipper._blocked) == ([log.folder], {})
    assert len(segments(log.folder)) < before


def test_the_log_is_on_the_disk_before_the_archive_has_it(
    session: SessionMaker, ship: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = session(segment_bytes=2_000)
    add_trades(log, 40)
    names = [path.name for path in segments(log.folder)]
    calls = traced(monkeypatch)

    ship()

    [data] = [call for call in calls if call.startswith("link") and call.endswith(f"{41:020d}.jsonl.zst")]
    before = calls[: calls.index(data)]
    assert len(names) > 2
    assert [name for name in names if f"fdatasync {name}" in before] == names
    assert calls.index(data) < calls.index(data.replace(".jsonl.zst", ".json"))


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

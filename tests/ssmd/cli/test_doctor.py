"""`ssmd doctor`."""

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from registry.models import DataGap, Feed
from secmaster.models import MarketLookup, MarketNotice
from ssmd.cli import doctor
from ssmd.runtime import home
from streaming.refusals import NOTE

Ssmd = Callable[..., Any]


def findings(answer: Any) -> dict[str, str]:
    return {row["check"]: row["status"] for row in answer.data}


def test_a_bootstrapped_machine_is_sound(ssmd: Ssmd) -> None:
    answer = ssmd("doctor", "--json")

    assert "fail" not in findings(answer).values()
    assert {"python", "data folder", "disk", "database", "environment", "secret", "nats-server"} <= findings(
        answer
    ).keys()


def test_a_secret_that_others_can_read_fails_with_its_remedy(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "secrets/kalshi-sim-creds/api_key").chmod(0o644)

    answer = ssmd("doctor")

    assert (answer.code, "chmod 600" in answer.out) == (6, True)


def test_a_folder_that_cannot_be_written_to_fails(ssmd: Ssmd, settings: LazySettings) -> None:
    settings.SSMD_HOME = Path("/proc/ssmd")

    answer = ssmd("doctor", "--json")

    assert (answer.code, findings(answer)["data folder"]) == (6, "fail")


def test_what_is_kept_of_damaged_logs_is_a_warning_that_names_it(
    ssmd: Ssmd, settings: LazySettings, tmp_path: Path
) -> None:
    settings.CAPTURE_DIR = tmp_path / "capture"
    (tmp_path / "capture/demo/s").mkdir(parents=True)
    assert "capture logs" not in findings(ssmd("doctor", "--json"))

    (tmp_path / "capture/demo/s/1.log.damaged").write_bytes(b"x")

    answer = ssmd("doctor")
    assert ("warn  capture logs" in answer.out, "1.log.damaged" in answer.out) == (True, True)


def test_a_key_that_is_none_fails_without_being_shown(ssmd: Ssmd, tmp_path: Path) -> None:
    (tmp_path / "secrets/kalshi-sim-creds/api_secret").write_text("-----BEGIN PRIVATE KEY-----\nabc\n")

    answer = ssmd("doctor")

    assert (answer.code, "api_secret of sealed-secret/kalshi-sim-creds" in answer.out) == (6, True)
    assert "abc" not in answer.out


def test_the_ports_of_a_running_ssmd_up_are_in_order(
    ssmd: Ssmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as web:
        web.bind(("127.0.0.1", 0))
        web.listen()
        monkeypatch.setattr(doctor, "_PORTS", ((web.getsockname()[1], "the web server", "--web-port"),))
        alone = findings(ssmd("doctor", "--json"))["port"]
        lock = home.hold(tmp_path)
        running = findings(ssmd("doctor", "--json"))["port"]
        os.close(lock)

    assert (alone, running) == ("warn", "ok")


def test_a_loss_that_goes_on_is_a_warning_unless_it_was_planned(ssmd: Ssmd) -> None:
    feed = Feed.objects.get(name="kalshi-sim")
    start = datetime(2025, 12, 3, 10, tzinfo=UTC)
    columns = {"feed": feed, "date": start.date(), "gap_start": start, "gap_type": "x", "session": "s"}
    DataGap.objects.create(**columns, gap_number=1, planned=True)
    planned = findings(ssmd("doctor", "--json"))["open gaps"]
    DataGap.objects.create(**columns, gap_number=2)

    assert (planned, findings(ssmd("doctor", "--json"))["open gaps"]) == ("ok", "warn")


def test_changes_that_nobody_publishes_and_markets_that_nobody_found_are_warnings(ssmd: Ssmd) -> None:
    feed, old = Feed.objects.get(name="kalshi-sim"), datetime(2025, 12, 3, tzinfo=UTC)
    sound = findings(ssmd("doctor", "--json"))["markets"]
    MarketNotice.objects.create(feed=feed, change="created", ticker="T", body={}, written_at=old)
    unpublished = ssmd("doctor").out
    MarketNotice.objects.all().delete()
    MarketLookup.objects.create(feed=feed, event_ticker="E", due_at=old, given_up_at=old)

    assert (sound, findings(ssmd("doctor", "--json"))["markets"]) == ("ok", "warn")
    assert "ssmd market follow" in unpublished


def test_programs_are_asked_for_only_while_ssmd_up_runs(ssmd: Ssmd, tmp_path: Path) -> None:
    alone = findings(ssmd("doctor", "--json"))
    lock = home.hold(tmp_path)
    starting = findings(ssmd("doctor", "--json"))
    os.close(lock)

    assert ("programs" in alone, starting["programs"]) == (False, "warn")


def test_what_a_connector_says_of_its_bus_is_shown(ssmd: Ssmd, settings: LazySettings) -> None:
    folder = Path(settings.SSMD_HOME) / "capture" / "demo"
    folder.mkdir(parents=True)
    (folder / NOTE).write_text("2026-11-28T08:00:00Z the bus refuses: maximum bytes exceeded\n")

    answer = ssmd("doctor")

    assert "demo, since 2026-11-28T08:00:00Z: the bus refuses: maximum bytes exceeded" in answer.out

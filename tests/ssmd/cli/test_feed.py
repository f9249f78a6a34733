"""`ssmd feed`, and how a missing registry is named."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ssmd = Callable[..., Any]
SSMD = Path(sys.executable).parent / "ssmd"


def test_the_list_is_keyed_by_the_design_s_columns(ssmd: Ssmd) -> None:
    rows = ssmd("feed", "list", "--json").data

    assert [row["name"] for row in rows] == ["kalshi", "kalshi-sim"]
    assert {"id", "display_name", "feed_type", "status", "created_at", "updated_at", "venue"} <= rows[
        0
    ].keys()


def test_a_feed_is_shown_as_it_was_then(ssmd: Ssmd) -> None:
    shown = ssmd("feed", "show", "kalshi", "--as-of", "2025-12-01", "--json").data

    assert (shown["version"], shown["effective_to"]) == ("v1", "2026-05-07")
    assert shown["endpoint_template"] == "wss://api.elections.kalshi.com/trade-api/ws/v2"


def test_showing_an_unknown_feed_is_exit_4(ssmd: Ssmd) -> None:
    answer = ssmd("feed", "show", "kalsi")

    assert (answer.code, answer.out) == (4, "")
    assert "Did you mean 'kalshi'?" in answer.err


def test_a_day_before_the_first_version_is_exit_4(ssmd: Ssmd) -> None:
    answer = ssmd("feed", "show", "kalshi", "--as-of", "2020-01-01")

    assert (answer.code, "in force from 2025-01-01" in answer.err) == (4, True)


@pytest.mark.parametrize("moment", ["yesterday", "2025-13-01", "2025-12-01T10:00:00"])
def test_a_day_that_is_none_is_a_usage_error(ssmd: Ssmd, moment: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        ssmd("feed", "show", "kalshi", "--as-of", moment)

    assert exit_.value.code == 2


def test_a_status_that_no_feed_has_gives_an_empty_list(ssmd: Ssmd) -> None:
    assert ssmd("feed", "list", "--status", "disabled", "--json").data == []


def test_without_a_registry_the_answer_is_exit_6_and_creates_none(tmp_path: Path) -> None:
    environment = {**os.environ, "SSMD_HOME": str(tmp_path), "DATABASE_URL": ""}
    environment.pop("DATABASE_URL")

    done = subprocess.run([SSMD, "feed", "list"], env=environment, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (6, "")
    assert "ssmd bootstrap" in done.stderr and str(tmp_path) in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "registry.sqlite3").exists()


def test_a_reading_command_imports_neither_celery_nor_the_web(tmp_path: Path) -> None:
    script = (
        "import sys; from ssmd.cli.main import run; run(['feed', 'list']);"
        "print([name for name in ('celery', 'daphne', 'rest_framework', 'django_celery_beat') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "SSMD_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert done.stdout == "[]\n"

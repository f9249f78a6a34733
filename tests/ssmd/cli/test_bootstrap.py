"""`ssmd bootstrap`, from nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SSMD = Path(sys.executable).parent / "ssmd"


def run(home: Path | str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SSMD_HOME": str(home)}
    for name in ("DATABASE_URL", "DJANGO_SECRET_KEY", "SSMD_SECRETS_DIR"):
        environment.pop(name, None)
    return subprocess.run([SSMD, *words], env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_an_empty_folder_becomes_a_registry_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    home = tmp_path / "a folder"
    runs = [run(home, *words) for words in (["bootstrap"], ["bootstrap"], ["feed", "list", "-o", "csv"])]

    assert [one.returncode for one in runs] == [0, 0, 0], [one.stderr for one in runs]
    assert "environment demo: version 1 registered, applied" in runs[0].stdout
    assert runs[1].stdout == "Nothing to do: all is there.\n"
    assert runs[2].stdout.count("\n") == 3


def test_an_endpoint_that_is_no_websocket_is_refused(ssmd: Callable[..., Any]) -> None:
    answers = [ssmd("bootstrap", "--sim-endpoint", url) for url in ("http://x", "nonsense", "")]

    assert [(answer.code, "ws://" in answer.err) for answer in answers] == [(3, True)] * 3


@pytest.mark.slow
@pytest.mark.parametrize("words", [("feed", "list"), ("doctor",)])
def test_a_reading_command_leaves_no_folder_behind_and_refuses_a_file_as_home(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()

    mistyped, in_file = run(tmp_path / "mistyped", *words), run(tmp_path / "file", *words)

    assert (mistyped.returncode, (tmp_path / "mistyped").exists()) == (6, False)
    assert (in_file.returncode, "is a file" in in_file.stderr, "Traceback" in in_file.stderr) == (
        9,
        True,
        False,
    )

"""`ssmd bootstrap`, from nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SSMD = Path(sys.executable).parent / "ssmd"


@pytest.mark.slow
def test_an_empty_folder_becomes_a_registry_and_a_second_run_has_nothing_to_do(tmp_path: Path) -> None:
    home = tmp_path / "a folder"
    environment = {**os.environ, "SSMD_HOME": str(home)}
    environment.pop("DATABASE_URL", None)

    runs = [
        subprocess.run([SSMD, *words], env=environment, capture_output=True, text=True)
        for words in (["bootstrap"], ["bootstrap"], ["feed", "list", "-o", "csv"])
    ]

    assert [run.returncode for run in runs] == [0, 0, 0], [run.stderr for run in runs]
    assert "environment demo: version 1 registered, applied" in runs[0].stdout
    assert runs[1].stdout == "Nothing to do: all is there.\n"
    assert runs[2].stdout.count("\n") == 3

"""Rows from manifests are the same on PostgreSQL: the same tests, run there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FILES = ("test_silence.py", "test_inventory.py", "test_day.py", "test_reindex.py")


@pytest.mark.slow
@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="runs on another database already")
def test_every_row_follows_from_manifests_on_postgresql(postgresql: str) -> None:
    files = [f"tests/archive/{name}" for name in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *files]

    run = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "DATABASE_URL": postgresql}, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]

"""The facts of the registry and the security master hold on PostgreSQL as well: the same tests, run there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif("DATABASE_URL" in os.environ, reason="runs on another database already")
def test_every_fact_of_the_registry_holds_on_postgresql(postgresql: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "tests/registry",
        "tests/secmaster",
    ]

    run = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "DATABASE_URL": postgresql}, capture_output=True, text=True
    )

    assert run.returncode == 0, run.stdout[-5000:] + run.stderr[-2000:]

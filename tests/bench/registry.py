"""`ssmd feed list` as an operator waits for it. The ceiling is Django's own start with the same applications."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import inventory
from tests.bench.figure import Figure
from tests.end_to_end.system import SSMD, System

RUNS = 5
_SETUP = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'ssmd.settings'; django.setup()"


def measure() -> list[Figure]:
    """Median seconds."""
    with tempfile.TemporaryDirectory() as folder:
        one = System(Path(folder) / "home")
        one.bootstrap()
        environment = {**one.environment, "SSMD_LIGHT": "1"}
        value = _median([SSMD, "feed", "list"], one.environment)
        ceiling = _median([sys.executable, "-c", _SETUP], environment)
    return [Figure("feed list", round(value, 2), "s", round(ceiling, 2)), *inventory.measure()]


def _median(command: list[str], environment: dict[str, str]) -> float:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return time.perf_counter() - began

    seconds()  # the first run compiles
    return statistics.median(seconds() for _ in range(RUNS))

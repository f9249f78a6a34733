"""`ssmd up` on an empty folder until a client has its first trade. The ceiling is what cannot be saved: Django's own
migration of the empty registry, and one Django process that starts."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

from tests.bench.figure import Figure
from tests.end_to_end.system import System

_SERVE = "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'ssmd.settings'; django.setup()"


def measure() -> list[Figure]:
    """Seconds."""
    with tempfile.TemporaryDirectory() as folder:
        one = System(Path(folder) / "home")
        one.home.mkdir()
        ceiling = _bare(Path(folder) / "bare", one.environment)
        try:
            value = _first_trade(one)
        finally:
            one.stop_gently("up")
    return [Figure("first trade after `ssmd up`", round(value, 1), "s", round(ceiling, 1))]


def _first_trade(one: System) -> float:
    began = time.perf_counter()
    web = one.start_up()
    with connect(f"ws://127.0.0.1:{web}/v1/stream?symbols=*") as stream:
        while json.loads(stream.recv(timeout=30))["type"] != "trade":
            pass
    return time.perf_counter() - began


def _bare(home: Path, environment: dict[str, str]) -> float:
    settings = {**environment, "SSMD_HOME": str(home), "DJANGO_SETTINGS_MODULE": "ssmd.settings"}
    (home / "run").mkdir(parents=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "django", "migrate", "-v", "0"], env=settings, check=True)
    subprocess.run([sys.executable, "-c", _SERVE], env=settings, check=True)
    return time.perf_counter() - began

"""Frames to measure with: recorded ones where SSMD_RECORDINGS names them, else the simulated exchange's own."""

import json
import os
import time
from pathlib import Path

from tests.end_to_end.system import System

WINDOWS = ("KXGOLD15M-26AUG102015-15", "KXGOLD15M-26AUG102045-45")
SIMULATED_SECONDS = 10


def replay_of(one: System) -> list[str]:
    """The exchange's options that replay them as fast as they are read."""
    folder = Path(os.environ.get("SSMD_RECORDINGS", "")) / "gold15m" / "events"
    paths = [str(folder / window) for window in WINDOWS if (folder / window).is_dir()] or [_simulated(one)]
    return ["--replay", *paths, "--speed", "0", "--once"]


def _simulated(one: System) -> str:
    """A recording of the simulated exchange's random orders."""
    one.start_exchange("--seed", "1", "--markets", "8", "--rate", "4000")
    one.start_connector()
    time.sleep(SIMULATED_SECONDS)
    one.stop("exchange")
    one.stop("connector")
    recording = one.home / "recording.ndjson"
    with recording.open("w") as file:
        for line in one.ledger.read_text().splitlines():
            sent = json.loads(line)
            file.write(
                json.dumps({"recv_ms": sent["t_ns"] // 1_000_000, "event": json.loads(sent["frame"])}) + "\n"
            )
    one.ledger.unlink()
    return str(recording)

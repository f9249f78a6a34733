"""What the tests of the capture log share: a recorder in a process of its own, a shipper, the oracle's verdict."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from archive.shipper import Shipper, ShipperConfig
from archive.store import DirectoryStore
from streaming import capture_metrics, metrics
from tests.faults.proof import Outcome
from tests.faults.recorder import ENVIRONMENT, FEED, SESSION
from tests.oracle import Archived, Sent, judge_archive, read_archive, read_ledger
from tests.running import until

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = f'ssmd_shipper_records_total{{feed="{FEED}"}}'


@dataclass
class Rig:
    """One environment's capture folder, its archive and the ledger of what was received."""

    home: Path

    def __post_init__(self) -> None:
        self.capture = self.home / "capture" / ENVIRONMENT
        self.capture.mkdir(parents=True)
        self.store = DirectoryStore(self.home / "raw")
        self.ledger = self.home / "ledger.ndjson"
        metrics.init_connector(FEED)
        metrics.init_archive(FEED)
        capture_metrics.init_capture(FEED)

    @property
    def folder(self) -> Path:
        """The first session's."""
        return self.capture / SESSION

    def record(
        self, *words: str, frames: int = 200, failpoints: str = "", session: str = SESSION
    ) -> "subprocess.CompletedProcess[str]":
        """Run a recorder to its end, whatever that is."""
        command = [sys.executable, "-m", "tests.faults.recorder"]
        return subprocess.run(
            [*command, str(self.capture / session), str(self.ledger), str(frames), *words],
            env={**os.environ, "SSMD_TESTING": "1", "SSMD_FAILPOINTS": failpoints},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def signalled(self, *words: str, numbers: Sequence[int]) -> int:
        """Start a recorder, send it these signals, more than the second of one request apart; its exit code."""
        command = [
            sys.executable,
            "-m",
            "tests.faults.recorder",
            str(self.folder),
            str(self.ledger),
            "1000000",
        ]
        process = subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            until(lambda: self.ledger.exists() and self.ledger.stat().st_size > 9_000, what="it records")
            for index, number in enumerate(numbers):
                time.sleep(1.2 if index else 0)
                process.send_signal(number)
            return process.wait(20)
        finally:
            process.kill()

    def ship(self) -> None:
        """Ship everything readable, as at SIGTERM; twice, for what a first turn has ended."""
        for _ in range(2):
            halt = threading.Event()
            shipper = Shipper(
                ShipperConfig(
                    environment=ENVIRONMENT,
                    feed=FEED,
                    capture=self.capture,
                    store=self.store,
                    version="0.1.0",
                ),
                halt,
            )
            shipper.step()
            halt.set()
            shipper.work()
            for _, lock in shipper._sessions.values():
                lock.release()

    def archive(self) -> list[Archived]:
        """What was shipped."""
        return read_archive(self.store, FEED)

    def sent(self) -> list[Sent]:
        """What was received."""
        return read_ledger(self.ledger) if self.ledger.exists() else []

    def outcome(self, risen: Mapping[str, float], *also: str) -> Outcome:
        """The verdict on all that was received."""
        archive = self.archive()
        verdict = judge_archive(self.sent(), archive)
        return Outcome(gaps_of(archive), dict(risen), tuple(verdict.faults), also)


def gaps_of(archive: list[Archived]) -> tuple[str, ...]:
    """The gap rows that follow from the marks: one for each that opens."""
    return tuple(mark.cause for session in archive for _, mark in session.gaps if not mark.planned)

"""A whole system in which one process dies at one place, and the verdict on all that it recorded."""

import gzip
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

from archive.layout import parse_events_key, parse_manifest_key
from archive.seal import Archive
from archive.store import DirectoryStore
from streaming.capture_log import is_writer_alive
from streaming.dead_session import has_ended, last_record, unannounced
from streaming.log_reader import Cursor, segments
from tests.crash import process
from tests.end_to_end.system import ENVIRONMENT, FEED, System
from tests.running import until

_PROCESS = str(Path(process.__file__))
_ROOT = str(Path(__file__).resolve().parents[2])
ROLES = {"capture": "connector", "publisher": "connector", "shipper": "shipper", "archiver": "archiver"}
DAY_NS = 86_400 * 10**9


@dataclass
class Scene(System):
    """A system whose processes may be given failpoints; `deaths` is how often one has killed itself."""

    deaths: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.environment |= {"PYTHONPATH": _ROOT, "DJANGO_SETTINGS_MODULE": "ssmd.settings"}

    def begin(self, role: str, failpoints: str = "") -> None:
        """The connector, the shipper or the archiver."""
        words = (sys.executable, _PROCESS, role, "start", "--env", ENVIRONMENT)
        self.start(role, *words, failpoints=failpoints)

    def revive(self, role: str) -> None:
        """Start again what has killed itself."""
        ended = self.running[role].poll()
        if ended == -signal.SIGKILL:
            self.deaths += 1
            self.running.pop(role)
            self.begin(role)

    def work(self, what: str, on: date, *, now_ns: int = 0, failpoints: str = "") -> int:
        """The inventory's task, the seal or the clearing away, to its end; a second time if it killed itself."""
        testing = {"SSMD_TESTING": "1", "SSMD_FAILPOINTS": failpoints} if failpoints else {}
        done = subprocess.run(
            [sys.executable, _PROCESS, what, on.isoformat(), str(now_ns or time.time_ns())],
            env={**self.environment, **testing},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode == -signal.SIGKILL:
            self.deaths += 1
            return self.work(what, on, now_ns=now_ns)
        assert done.returncode == 0, done.stderr[-2000:]
        return 0

    def archives(self) -> Archive:
        """Both archives, as a process of ours opens them."""
        return Archive(
            feed=FEED,
            environment=ENVIRONMENT,
            raw=DirectoryStore(self.home / "archive" / "raw"),
            normalized=DirectoryStore(self.home / "archive" / "normalized"),
            work=self.home / "run" / "judge",
            code_version="0.1.0",
        )

    def days(self) -> list[date]:
        """The days of which there are raw parts: two where midnight has passed."""
        keys = (parse_manifest_key(name) for name in self.archives().raw.list(f"{FEED}/"))
        return sorted({key.on for key in keys if key is not None})


def copy_of(template: Path, home: Path, exchange_port: int) -> Scene:
    """A bootstrapped system of its own; making one anew takes seconds."""
    shutil.copytree(template, home)
    return Scene(home, exchange_port=exchange_port)


def record(one: Scene, recording: Path, *, speed: str, role: str = "", failpoints: str = "") -> None:
    """Replay a recording through all processes; the one that dies is started again."""
    one.start_nats()
    one.start_exchange("--replay", str(recording), "--speed", speed, "--once")
    for name in ("shipper", "archiver", "connector"):
        one.begin(name, failpoints if name == role else "")
    while one.running["exchange"].poll() is None:
        time.sleep(0.1)
        if role:
            one.revive(role)
    one.wait_for("exchange", seconds=10)
    _settle(one, role)


def _settle(one: Scene, role: str) -> None:
    """Stop everything in order, each when it has done its work; who kills itself meanwhile is started once more."""
    for name, is_done in (("connector", _is_told), ("shipper", _is_shipped), ("archiver", _is_archived)):
        _await(one, name, role, is_done)
        if one.stop(name) == -signal.SIGKILL and name == role:
            one.deaths += 1
            one.begin(name)
            _await(one, name, role, is_done)
            one.stop(name)


def _await(one: Scene, name: str, role: str, is_done: Callable[[Scene], bool]) -> None:
    def holds() -> bool:
        if name == role:
            one.revive(name)
        return is_done(one)

    until(holds, seconds=60, what=f"{name} is done: {one.log(name)[-1000:]}")


def _dead_sessions(one: Scene) -> list[Path]:
    return [path.parent for path in _logs(one) if not is_writer_alive(path.parent)]


def _is_told(one: Scene) -> bool:
    """The bus knows how each session of a dead connector ended, and all of the living one's."""
    dead = _dead_sessions(one)
    living = [path.parent for path in _logs(one) if path.parent not in dead]
    is_dead_told = all(has_ended(folder) and unannounced(folder) is None for folder in dead)
    return is_dead_told and all(_reached(folder / "published.cursor", folder) for folder in living)


def _logs(one: Scene) -> list[Path]:
    """Of sessions that recorded anything: one that died before its first segment had its name left nothing to tell."""
    locks = sorted((one.home / "capture" / ENVIRONMENT).glob("*/writer.lock"))
    return [lock for lock in locks if segments(lock.parent)]


def _reached(cursor: Path, folder: Path) -> bool:
    last = last_record(folder)
    return last is not None and Cursor(cursor).load() >= last.n


def _is_shipped(one: Scene) -> bool:
    """Every session has its end, and all of it is committed."""
    return all(
        has_ended(folder) and _reached(folder / "shipped.cursor", folder) for folder in _dead_sessions(one)
    )


def _is_archived(one: Scene) -> bool:
    """The provisional parts reach to the stream's end."""
    keys = (parse_events_key(key) for key in one.archives().normalized.list(f"{FEED}/"))
    return max((key.last_seq for key in keys if key), default=0) == len(one.published())


def beginning_of(recording: Path, folder: Path, frames: int) -> Path:
    """The recording's first frames, as a recording of its own."""
    folder.mkdir()
    for path in sorted(recording.glob("*.ndjson.gz")):
        with gzip.open(path) as file, gzip.open(folder / path.name, "wb") as cut:
            cut.writelines(islice(file, frames))
    return folder


def windows(recordings: Path) -> list[Path]:
    """The recorded windows, shortest first."""
    found = (recordings / "gold15m" / "events").iterdir()
    return sorted(found, key=lambda path: sum(file.stat().st_size for file in path.iterdir()))

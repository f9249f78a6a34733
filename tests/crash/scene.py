"""A whole system in which one process dies at one place, and the verdict on all that it recorded."""

import gzip
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path

import zstandard

from archive.files import decode_line
from archive.layout import parse_events_key, parse_manifest_key
from archive.normalized_read import read_rows, split
from archive.rows import lines
from archive.seal import Archive
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, latest
from archive.store import DirectoryStore
from archive.verify import verify_day
from streaming import wire
from streaming.capture_log import is_writer_alive
from streaming.dead_session import has_ended, is_end, last_record, unannounced
from streaming.events import Trade
from streaming.log_reader import Cursor
from streaming.records import Kind
from tests.crash import process
from tests.end_to_end.system import ENVIRONMENT, FEED, System, notices, trades
from tests.oracle import Archived, Sent, judge_archive
from tests.oracle_of_bus import TradeFact, fact_of, judge_order, judge_trades, trades_of
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
    folders = [path.parent for path in (one.home / "capture" / ENVIRONMENT).glob("*/writer.lock")]
    return [folder for folder in folders if not is_writer_alive(folder)]


def _is_told(one: Scene) -> bool:
    """The bus knows how each session of a dead connector ended."""
    return all(has_ended(folder) and unannounced(folder) is None for folder in _dead_sessions(one))


def _is_shipped(one: Scene) -> bool:
    """Every session has its end, and all of it is committed."""
    return all(
        (last := last_record(folder)) is not None
        and is_end(last)
        and Cursor(folder / "shipped.cursor").load() == last.n
        for folder in _dead_sessions(one)
    )


def _is_archived(one: Scene) -> bool:
    """The provisional parts reach to the stream's end."""
    keys = (parse_events_key(key) for key in one.archives().normalized.list(f"{FEED}/"))
    return max((key.last_seq for key in keys if key), default=0) == len(one.published())


@dataclass
class Verdict:
    """What was recorded and what is wrong with it."""

    frames: int
    sealed_rows: int
    events: int
    nats_lost: int
    faults: list[str]


def judge(one: Scene, failpoints: str = "") -> Verdict:
    """The oracle's verdict on archive, bus, sealed day, inventory; `failpoints` are for what is done here."""
    sent, archive, events = one.sent(), one.archive(), one.published()
    faults = _of_archive(sent, archive)
    faults += judge_trades(archive, trades(events), notices(events)) + judge_order(events)
    manifests = [_finished(one, on, failpoints) for on in one.days()]
    sealed = [
        line for manifest in manifests for file in manifest.raw for line in lines(one.archives().raw, file)
    ]
    faults += [f"sealed: {fault}" for fault in _of_archive(sent, _sessions(sealed))]
    for manifest in manifests:
        found = verify_day(one.archives(), manifest.date, deep=True)
        faults += [f"{finding.key} {finding.problem}" for finding in found]
        faults += _of_provisional(one.archives(), manifest) if not failpoints.startswith("gc.") else []
    faults += _of_trades(
        archive, [fact for manifest in manifests for fact in _facts(one.archives(), manifest)]
    )
    return Verdict(
        frames=len(sent),
        sealed_rows=sum(manifest.raw_rows for manifest in manifests),
        events=sum(sum(manifest.events.values()) for manifest in manifests),
        nats_lost=sum(manifest.nats_lost or 0 for manifest in manifests),
        faults=faults,
    )


def _finished(one: Scene, on: date, failpoints: str) -> DayManifest:
    """Inventory and seal, where the failpoints may kill either."""
    of, over_ns = (
        failpoints.partition(".")[0],
        time.time_ns() + 2 * DAY_NS,
    )  # the day is over: nothing is partial
    one.work("inventory", on, failpoints=failpoints if of == "inventory" else "")
    one.work("seal", on, now_ns=over_ns, failpoints=failpoints if of == "seal" else "")
    if of == "gc":
        one.work("gc", on, now_ns=over_ns + 10 * DAY_NS, failpoints=failpoints)
    manifest = latest(one.archives().raw, FEED, on)
    assert manifest is not None
    return manifest


def _of_archive(sent: list[Sent], archive: list[Archived]) -> list[str]:
    verdict = judge_archive(sent, archive)
    if verdict.archived + verdict.disclosed != verdict.sent:
        verdict.blame(f"{verdict.sent} sent, {verdict.archived} archived, {verdict.disclosed} disclosed")
    return verdict.faults


def _sessions(sealed: list[bytes]) -> list[Archived]:
    """The sealed lines as the oracle reads sessions."""
    found: dict[str, Archived] = {}
    for line in sealed:
        raw = decode_line(line)
        found.setdefault(raw.session, Archived(raw.session)).records.append(raw.record)
    for one in found.values():
        one.records.sort()
    return sorted(found.values(), key=lambda one: one.records[0].received_ns)


def _events(archive: Archive, manifest: DayManifest) -> Iterator[tuple[str, bytes]]:
    for shard in manifest.shards:
        for file in read_index(archive.normalized, shard.index):
            data = zstandard.ZstdDecompressor().decompressobj().decompress(archive.normalized.get(file.key))
            yield from ((file.kind, message) for message in split(data, file.key))


def _facts(archive: Archive, manifest: DayManifest) -> Iterator[TradeFact]:
    for kind, message in _events(archive, manifest):
        event = wire.decode(kind, message) if kind == "trade" else None
        if isinstance(event, Trade):
            yield fact_of(event)


def _of_trades(archive: list[Archived], sealed: list[TradeFact]) -> list[str]:
    """The sealed trades are those of the recorded frames, each once."""
    frames = (record.payload for one in archive for record in one.records if record.kind == Kind.TEXT)
    due, got = set(trades_of(frames)), Counter(sealed)
    twice = [f"{fact.trade_id} is sealed {count} times" for fact, count in got.items() if count > 1]
    return twice + [f"sealed trades differ: {len(due ^ set(got))}"] * (due != set(got))


def _of_provisional(archive: Archive, manifest: DayManifest) -> list[str]:
    """What came over the bus is what raw makes of it, message for message; what the bus lost is counted."""
    sealed: dict[str, set[bytes]] = defaultdict(set)
    for kind, message in _events(archive, manifest):
        sealed[kind].add(message)
    faults = [f"{manifest.nats_unexpected} events on the bus that raw has not"] * bool(
        manifest.nats_unexpected
    )
    got = Counter[str]()
    for row in read_rows(archive.normalized, FEED, manifest.date):
        if row.token == "gap":
            continue
        got["all"] += 1
        got["other"] += row.payload not in sealed[row.token]
    if got["other"]:
        faults.append(f"{got['other']} of {got['all']} provisional events are not what raw makes of them")
    lost = sum(map(len, sealed.values())) - got["all"]
    if got["all"] and lost != manifest.nats_lost:
        faults.append(f"the manifest says that the bus lost {manifest.nats_lost} events; {lost} lack there")
    return faults


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

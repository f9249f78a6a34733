"""A day that has every kind of object, and for each one who looks at it and who reads it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from archive import layout, normalized_read, raw, rows, seal_manifest
from archive.damage import Finding, examine
from archive.day_documents import day_manifest, owner_findings, plan_findings, step_findings
from archive.log_damage import examine_log
from archive.normalized_commit import EventsCommitter
from archive.normalized_message import BusMessage
from archive.normalized_part import EventsBuilder
from archive.normalized_stand import Stand
from archive.rows import StoredRows
from archive.seal import Archive, seal_day, steps_of
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, Plan
from archive.seal_steps import report_of
from archive.store import DirectoryStore, Store, bind_owner
from archive.verify import examine_part, read_events_manifest
from streaming import marks, subjects, wire
from streaming.capture_log import CaptureLog, CaptureLogReader, segments
from streaming.events import GapNotice
from streaming.kalshi.normalizer import Normalizer
from streaming.log_reader import CaptureLogError, Cursor
from streaming.records import Record
from tests.archive.days import DAY, ENVIRONMENT, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, lifecycle, snapshot, trade

DAY_NS = 86_400 * 10**9
OVER = NOON + DAY_NS
NEXT = layout.day_of(OVER)
MINUTE = 60 * 10**9
ONE, TWO, THREE = (
    "kalshi-sim-20251214T120000Z-000001",
    "kalshi-sim-20251214T130000Z-000002",
    "kalshi-sim-20251215T120000Z-000003",
)
STREAM = "ssmd-kalshi-sim"


@dataclass(frozen=True)
class Target:
    """One object: where it lies, what verification says of it, what its reader makes of it."""

    kind: str
    path: Path
    key: str
    look: Callable[[], list[Finding]]
    read: Callable[[], object]


def frames(count: int) -> list[bytes | marks.Mark]:
    """Books, changes and trades of three markets, and what their lifecycle says."""
    tickers = ["KXA-1", "KXB-79.99", "KXC-3"]
    body: list[bytes] = [snapshot(ticker, seq) for seq, ticker in enumerate(tickers, start=1)]
    for n in range(4, count):
        ticker = tickers[n % 3]
        body += [delta(ticker, n), trade(ticker, n, trade_id=f"{ticker}-{n}")]
    return [START, *body, lifecycle("KXA-1", "determined"), marks.SessionEnd("stopped")]


def whole_day(folder: Path) -> Archive:
    """Two sessions in three hours, as parts, as provisional parts, and sealed."""
    archive = archive_in(folder)
    bind_owner(archive.raw, FEED, ENVIRONMENT)
    bind_owner(archive.normalized, FEED, ENVIRONMENT)
    one = list(records(frames(120), step_ns=MINUTE // 4))
    two = list(records(frames(60), at_ns=NOON + 90 * MINUTE))
    add_session(archive.raw, ONE, iter(one), part_bytes=9_000)
    add_session(archive.raw, TWO, iter(two), part_bytes=9_000)
    add_provisional(archive, {ONE: one, TWO: two}, messages=150)
    seal_day(archive, DAY, now_ns=OVER)
    add_session(archive.raw, THREE, records(frames(20), at_ns=OVER))
    seal_day(archive, NEXT, now_ns=OVER + DAY_NS)
    return archive


def of_the_next_day(archive: Archive) -> dict[str, list[bytes]]:
    """Sound documents that belong elsewhere."""
    plan_key, seal_key = layout.plan_key(FEED, NEXT, 1), layout.seal_key(FEED, NEXT, 1)
    plan = seal_manifest.read(archive.raw, plan_key, Plan)
    reports = [archive.raw.get(step.key(plan)) for step in steps_of(plan, None)]
    return {
        "plan": [archive.raw.get(plan_key)],
        "day manifest": [archive.raw.get(seal_key)],
        "step report": reports,
    }


def messages_of(sessions: dict[str, list[Record]]) -> Iterator[BusMessage]:
    """What a connector would have published of these records."""
    seq = 0
    for session, found in sessions.items():
        normalizer = Normalizer(session)
        for record in found:
            for event in normalizer.apply(record):
                seq += 1
                subject, at = subjects.address(FEED, event), record.received_ns
                identity = f"{session}.{seq}" if isinstance(event, GapNotice) else event.origin.identity
                yield BusMessage(seq, subject, identity, at, wire.encode(event))


def add_provisional(archive: Archive, sessions: dict[str, list[Record]], *, messages: int) -> None:
    """Commit provisional parts of so many messages each, the last one with a message that is none of ours."""
    committer = EventsCommitter(
        archive.normalized, feed=FEED, environment=ENVIRONMENT, halt=threading.Event()
    )
    builder = EventsBuilder(feed=FEED, environment=ENVIRONMENT, stream=STREAM, archiver_version="0.1.0")
    builder.begin(Stand("20251214T001000000000Z", 0))
    last = 0
    for message in messages_of(sessions):
        builder.take(message)
        last = message.seq
        if builder.messages >= messages:
            builder.begin(committer.commit(builder.finish(now_ns=OVER), builder.end))
    builder.take(BusMessage(last + 1, f"{FEED}.trade.KXA-1", "odd", OVER - 10**9, b"no event at all"))
    committer.commit(builder.finish(now_ns=OVER), builder.end)


def log_in(folder: Path) -> Path:
    """A session's capture log of several segments, shipped but for its last records."""
    log = CaptureLog(folder / ONE, environment=ENVIRONMENT, session=ONE, segment_bytes=9_000)
    for record in records(frames(100)):
        log.append(record.payload, kind=record.kind, connection=1, received_ns=record.received_ns)
    log.close()
    Cursor(folder / ONE / "shipped.cursor").store(log.last_n - 5)
    return folder / ONE


def read_log(folder: Path) -> list[Record]:
    """All that a reader takes for records; raises CaptureLogError; a log without end mark is one that crashed."""
    reader, found = CaptureLogReader(folder), []
    while piece := reader.read():
        found += piece
    if not found or found[-1].payload != marks.encode(marks.SessionEnd("stopped")):
        raise CaptureLogError("no end mark: the shipper will append that it crashed")
    return found


def log_targets(folder: Path) -> list[Target]:
    """The segments of a log."""
    log = log_in(folder)
    look, read = partial(_listed, examine_log, log), partial(read_log, log)
    return [Target("capture log", path, str(path), look, read) for path in segments(log)]


def _listed(look: Callable[..., Iterator[Finding]], *words: object) -> list[Finding]:
    return list(look(*words))


def targets(archive: Archive) -> list[Target]:
    """Every object of the day."""
    manifest = seal_manifest.latest(archive.raw, FEED, DAY)
    assert manifest is not None
    return [
        *_parts(archive),
        *_sealed(archive, manifest),
        *_provisional(archive),
        *_documents(archive, manifest),
    ]


def _path(store: Store, key: str) -> Path:
    assert isinstance(store, DirectoryStore)
    return store.root / key


def _one(look: Callable[..., Finding | None], *words: object) -> list[Finding]:
    found = look(*words)
    return [found] if found else []


def _parts(archive: Archive) -> Iterator[Target]:
    for key in raw.part_keys(archive.raw, FEED, DAY):
        look = partial(_one, examine_part, archive.raw, key)
        read = partial(_part_lines, archive, key)
        yield Target("raw part", _path(archive.raw, key.data), key.data, look, read)
        yield Target("part manifest", _path(archive.raw, key.manifest), key.manifest, look, read)


def _part_lines(archive: Archive, key: layout.PartKey) -> object:
    manifest = raw.read_manifest(archive.raw, key)
    return manifest, list(raw.read_lines(archive.raw, manifest))


def _sealed(archive: Archive, manifest: DayManifest) -> Iterator[Target]:
    [shard] = manifest.shards
    for file in manifest.raw:
        yield _rows("sealed raw file", archive.raw, file)
    for file in read_index(archive.normalized, shard.index):
        yield _rows("normalized file", archive.normalized, file)
    yield _rows("index", archive.normalized, shard.index)
    yield _rows("identities", archive.raw, shard.identities)
    yield _rows("carried state", archive.raw, shard.carry)


def _rows(kind: str, store: Store, stored: StoredRows) -> Target:
    look = partial(_one, examine, store, stored)
    return Target(kind, _path(store, stored.key), stored.key, look, partial(_pieces, store, stored))


def _pieces(store: Store, stored: StoredRows) -> object:
    return b"".join(rows.pieces(store, stored))


def _provisional(archive: Archive) -> Iterator[Target]:
    store = archive.normalized
    for key in normalized_read.part_keys(store, FEED, "v2", DAY):
        manifest = normalized_read.read_manifest(store, key)
        yield Target(
            "provisional manifest",
            _path(store, key.manifest),
            key.manifest,
            partial(_of_manifest, store, key),
            partial(normalized_read.read_manifest, store, key),
        )
        for file in manifest.all_files:
            yield _rows("provisional part", store, normalized_read.stored_rows(manifest, file))


def _of_manifest(store: Store, key: layout.EventsKey) -> list[Finding]:
    found = read_events_manifest(store, key)
    return [found] if isinstance(found, Finding) else []


def _documents(archive: Archive, manifest: DayManifest) -> Iterator[Target]:
    store = archive.raw
    plan_key, seal_key = layout.plan_key(FEED, DAY, 1), layout.seal_key(FEED, DAY, 1)
    plan = seal_manifest.read(store, plan_key, Plan)
    read_plan = partial(seal_manifest.read, store, plan_key, Plan)
    read_day = partial(seal_manifest.read, store, seal_key, DayManifest)
    look_plan = partial(_listed, plan_findings, archive, manifest)
    yield Target("plan", _path(store, plan_key), plan_key, look_plan, read_plan)
    yield Target("day manifest", _path(store, seal_key), seal_key, partial(_of_day, archive), read_day)
    for step in steps_of(plan, None):
        look = partial(_listed, step_findings, archive, manifest, [])
        read = partial(report_of, store, plan, step)
        yield Target("step report", _path(store, step.key(plan)), step.key(plan), look, read)
    owner = layout.owner_key(FEED)
    for one in (archive.raw, archive.normalized):
        look = partial(_listed, owner_findings, archive, DAY)
        yield Target("owner", _path(one, owner), owner, look, partial(_bound, one))


def _of_day(archive: Archive) -> list[Finding]:
    found = day_manifest(archive, DAY, 1)
    return [found] if isinstance(found, Finding) else []


def _bound(store: Store) -> None:
    """As whoever is about to write does."""
    bind_owner(store, FEED, ENVIRONMENT)

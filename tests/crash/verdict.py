"""The verdict on all that a scene recorded: archive, bus, provisional parts, inventory, sealed day."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import zstandard

from archive.files import decode_line
from archive.normalized_read import read_rows, split
from archive.rows import lines
from archive.seal import Archive
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest, latest
from archive.verify import verify_day
from streaming import wire
from streaming.events import Trade
from streaming.records import Kind
from tests.crash.scene import DAY_NS, Scene
from tests.end_to_end.system import FEED, notices, trades
from tests.oracle import Archived, Sent, judge_archive
from tests.oracle_of_bus import TradeFact, fact_of, judge_order, judge_trades, trades_of


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

"""Faults of the archive (group E) that only the seal can answer: late frames, a mended normalizer, many tickers."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from archive import layout, normalized_part
from archive.day_lines import day_lines
from archive.normalized_message import BusMessage, Sorted, sort
from archive.plan import NothingNew
from archive.rows import lines
from archive.seal import Archive, seal_day
from archive.seal_events import read_index
from archive.seal_manifest import DayManifest
from archive.store import DirectoryStore
from streaming import marks
from streaming.events import Event, Trade
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Record
from tests.archive.bus import archive_all, bus, trade
from tests.archive.days import DAY, FEED, NOON, START, add_session, archive_in, records
from tests.faults.archiving import OtherStore, lived_through
from tests.faults.proof import Outcome, fault, prove, watched
from tests.running import NatsServer
from tests.streaming.kalshi import frames

OVER = NOON + 86_400 * 10**9
ONE, LATE = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T123000Z-000002"
PUTS = 'ssmd_store_operations_total{operation="put",result="ok",store="directory"}'


def _record(archive: Archive, session: str, *, at_ns: int = NOON) -> None:
    found = [frames.trade("M1", n, trade_id=f"{session}-{n}") for n in range(1, 30)]
    add_session(
        archive.raw,
        session,
        records([START, *found, marks.SessionEnd("stopped")], at_ns=at_ns),
        part_bytes=2_000,
    )


def _digests(root: Path) -> dict[str, str]:
    """What lies in a store, by its key."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _all(archive: Archive) -> dict[str, str]:
    assert isinstance(archive.raw, DirectoryStore)
    assert isinstance(archive.normalized, DirectoryStore)
    return _digests(archive.raw.root) | _digests(archive.normalized.root)


def _judge_raw(archive: Archive, manifest: DayManifest) -> list[str]:
    """The sealed version holds every line that any part holds, once."""
    sealed = sorted(line for file in manifest.raw for line in lines(archive.raw, file))
    archived = sorted(line.line for line in day_lines(archive.raw, FEED, DAY))
    return [] if sealed == archived else [f"{len(sealed)} lines are sealed, {len(archived)} were archived"]


def _changed(before: dict[str, str], archive: Archive) -> list[str]:
    now = _all(archive)
    return [f"{key} was edited" for key in before if now.get(key) != before[key]]


@fault("E9")
def test_late_frames_of_a_sealed_day_make_a_version_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        archive = archive_in(tmp_path / str(is_handled))
        _record(archive, ONE)
        seal_day(archive, DAY, now_ns=OVER)
        before = _all(archive)
        _record(archive, LATE, at_ns=NOON + 60 * 10**9)
        with monkeypatch.context() as patch, watched() as risen:
            if not is_handled:
                patch.setattr(layout, "raw_file", _unversioned(layout.raw_file))
            manifest = seal_day(archive, DAY, now_ns=OVER)
        also = [] if manifest.version == 2 else [f"it is version {manifest.version}"]
        return Outcome(
            metrics=risen,
            faults=tuple(_judge_raw(archive, manifest)),
            also=(*also, *_changed(before, archive)),
        )

    prove(scenario, gaps=(), metric=PUTS)


def _unversioned(raw_file: object) -> object:
    assert callable(raw_file)

    def place(*words: object, version: int = 1, **options: object) -> object:
        return raw_file(*words, **options)

    return place


@fault("E17")
def test_a_day_is_normalized_again_beside_what_a_faulty_normalizer_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply = Normalizer.apply

    def apply_and_lose(self: Normalizer, record: Record) -> list[Event]:
        return [event for event in apply(self, record) if not isinstance(event, Trade)]

    def scenario(is_handled: bool) -> Outcome:
        archive = archive_in(tmp_path / str(is_handled))
        _record(archive, ONE)
        with monkeypatch.context() as patch:
            patch.setattr(Normalizer, "apply", apply_and_lose)
            faulty = seal_day(archive, DAY, now_ns=OVER)
        before = _all(archive)
        with watched() as risen:
            try:
                mended = seal_day(archive, DAY, now_ns=OVER, again=is_handled)
            except NothingNew:
                mended = faulty
        repeated = seal_day(archive, DAY, now_ns=OVER, again=True)
        faults = [] if mended.events.get("trade") == 29 else [f"{mended.events} events"]
        also = [] if _events(archive, mended) == _events(archive, repeated) else ["a repetition differs"]
        return Outcome(metrics=risen, faults=tuple(faults), also=(*also, *_changed(before, archive)))

    prove(scenario, gaps=(), metric=PUTS)


def _events(archive: Archive, manifest: DayManifest) -> list[str]:
    return sorted(
        file.sha256_rows for shard in manifest.shards for file in read_index(archive.normalized, shard.index)
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server.url
    server.stop()


@fault("E18")
@pytest.mark.slow
def test_a_thousand_tickers_are_few_objects_until_the_day_is_sealed(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = [trade(n, ticker=f"KXMANY-{n}") for n in range(1, 1_001)]

    def sort_by_ticker(message: BusMessage) -> Sorted | None:
        found = sort(message)
        return None if found is None else found._replace(file=message.subject.rpartition(".")[2])

    async def life(is_handled: bool, store: DirectoryStore) -> tuple[Sequence[Event], Sequence[str]]:
        counting = OtherStore(store)
        async with bus(server) as one:
            await one.publish(published)
            with monkeypatch.context() as patch:
                if not is_handled:
                    patch.setattr(normalized_part, "sort", sort_by_ticker)
                await archive_all(server, counting)
        puts = counting.calls["put"]
        return published, [] if puts <= 5 else [f"{puts} objects for one part"]

    metric = 'ssmd_archiver_records_total{feed="kalshi-sim",type="trade"}'
    prove(lived_through(life, tmp_path), gaps=(), metric=metric, at_least=1_000)

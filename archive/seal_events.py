"""The normalized files of one shard of a day's tickers: a pure function of the planned raw lines."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from archive import layout, seal_manifest
from archive.carry import put_carry
from archive.files import Damaged
from archive.merge import Seen, merged
from archive.rows import StoredRows, compress, is_sound, pieces, put_rows, read_back
from archive.seal_manifest import DayManifest, Plan, SealedFile, Shard
from archive.shard_events import FOLDERS, ShardEvents
from archive.spill import Spill, Spilled
from archive.store import Store
from archive.stored_identities import put_identities
from streaming import failpoints, wire
from streaming.events import BookSnapshot, Trade

LEVEL = 3
PUTS_AT_ONCE = 16


def seal_shard(
    raw: Store,
    normalized: Store,
    plan: Plan,
    base: DayManifest | None,
    shard: int,
    *,
    work: Path,
) -> Shard:
    """Write, read back and commit one shard; what an earlier attempt committed is taken as it is."""
    key = layout.step_key(plan.feed, plan.date, plan.version, f"shard-{shard:03d}")
    done = seal_manifest.read_if_there(raw, key, Shard)
    if done is not None:
        return done
    expected = sum(part.raw_bytes for part in plan.parts) // plan.shards
    spill = Spill(work / f"shard-{shard:03d}", FOLDERS, expected_bytes=expected)
    events = ShardEvents(raw, plan, base, shard)
    for event in events:
        spill.add(*event)
    before, unreadable = _index_of(normalized, base, shard)
    writer = _Writer(normalized, plan, before)
    index = sorted(writer.write(spill.files()), key=lambda file: (file.kind, file.ticker or ""))
    _require_each_once(index, writer.overlap, len(events.identities), key)
    failpoints.reach("seal.shard_written")
    report = Shard(
        shard=shard,
        index=_put_index(normalized, plan, shard, index),
        identities=put_identities(raw, plan, f"{shard:03d}", events.identities),
        carry=put_carry(raw, plan, shard, events.carried()),
        files=len(index),
        markets=spill.tickers,
        rows=dict(sorted(_sum(index, "rows").items())),
        raw_bytes=sum(file.raw_bytes for file in index),
        stored_bytes=sum(file.stored_bytes for file in index),
        overlap=writer.overlap,
        unmappable=events.unmappable,
        quality=[events.quality[key] for key in sorted(events.quality)],
        mappers=events.mappers,
        replaced=sorted([*unreadable, *writer.replaced, *_unsound(raw, base, shard)]) or msgspec.UNSET,
    )
    report = seal_manifest.put_report(raw, key, report)
    failpoints.reach("seal.shard_committed")
    return report


def _require_each_once(index: list[SealedFile], overlap: int, events: int, key: str) -> None:
    """The files hold as many events as raw led to: what passed through the work folder is checked, too."""
    written = sum(file.rows for file in index)
    if written + overlap != events:
        raise Damaged(f"{key}: {written} events and {overlap} of overlap were written, raw leads to {events}")


def _sum(index: list[SealedFile], field: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in index:
        found[file.kind] += getattr(file, field)
    return found


class _Writer:
    """Events to files, many at a time: on a store far away a put is nothing but waiting."""

    def __init__(self, store: Store, plan: Plan, before: dict[tuple[str, str | None], SealedFile]) -> None:
        self._store, self._plan, self._before = store, plan, before
        self.overlap = 0
        self.replaced: list[str] = []  # of the version before: gone or damaged

    def write(self, files: Iterator[tuple[str, str, list[Spilled]]]) -> Iterator[SealedFile]:
        with ThreadPoolExecutor(PUTS_AT_ONCE, "put") as pool:
            waiting = []
            for folder, ticker, events in files:
                kept = without_overlap(folder, events)
                self.overlap += len(events) - len(kept)
                waiting.append(pool.submit(self._put, folder, ticker, kept))
                if len(waiting) >= 4 * PUTS_AT_ONCE:
                    yield waiting.pop(0).result()
            for one in waiting:
                yield one.result()

    def _put(self, folder: str, ticker: str, events: list[Spilled]) -> SealedFile:
        rows = b"".join([event.payload for event in events])
        plan = self._plan
        data = compress(rows, level=LEVEL)
        file = SealedFile(
            key=layout.events_file(plan.feed, plan.schema, folder, plan.date, ticker, version=plan.version),
            rows=len(events),
            raw_bytes=len(rows),
            stored_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            sha256_rows=hashlib.sha256(rows).hexdigest(),
            kind=folder,
            ticker=ticker,
            first_recv_ns=events[0].recv_ns,
            last_recv_ns=events[-1].recv_ns,
        )
        same = self._before.get((folder, ticker))
        if same is not None and same.sha256_rows == file.sha256_rows:
            if is_sound(self._store, same):
                return same
            self.replaced.append(same.key)
        put = put_rows(self._store, file, data)
        file = msgspec.structs.replace(file, stored_bytes=put.stored_bytes, sha256=put.sha256)
        read_back(self._store, file)
        return file


def without_overlap(folder: str, events: list[Spilled]) -> list[Spilled]:
    """The events of one file, each once, though several sessions recorded at the same time."""
    if len({event.session for event in events}) < 2:
        return events
    return merged(events, lambda event: _seen(folder, event))


def _seen(folder: str, event: Spilled) -> Seen:
    if folder not in ("trade", "orderbook"):
        return Seen(event.session)
    decoded = wire.decode(folder, event.payload)
    if isinstance(decoded, Trade):
        return Seen(event.session, trade_id=decoded.trade_id)
    return Seen(event.session, can_take_over=isinstance(decoded, BookSnapshot))


def read_index(store: Store, index: StoredRows) -> list[SealedFile]:
    """The files that one shard made."""
    lines = b"".join(pieces(store, index)).splitlines()
    return [msgspec.json.decode(line, type=SealedFile) for line in lines]


def _index_of(
    store: Store, base: DayManifest | None, shard: int
) -> tuple[dict[tuple[str, str | None], SealedFile], list[str]]:
    """The files of the version before, and its index's key if that cannot be read: then all are made anew."""
    if base is None:
        return {}, []
    index = base.shards[shard].index
    try:
        return {(file.kind, file.ticker): file for file in read_index(store, index)}, []
    except Damaged:
        return {}, [index.key]


def _unsound(raw: Store, base: DayManifest | None, shard: int) -> list[str]:
    """Identities and state of the version before that are gone or damaged: each version has its own."""
    stored = [base.shards[shard].identities, base.shards[shard].carry] if base else []
    return [one.key for one in stored if not is_sound(raw, one)]


def _put_index(store: Store, plan: Plan, shard: int, index: list[SealedFile]) -> StoredRows:
    rows = b"".join(msgspec.json.encode(file) + b"\n" for file in index)
    key = layout.index_file(plan.feed, plan.schema, plan.date, version=plan.version, shard=shard)
    stored = _put(store, key, rows, len(index), compress(rows, level=LEVEL))
    read_back(store, stored)
    return stored


def _put(store: Store, key: str, rows: bytes, count: int, data: bytes) -> StoredRows:
    return put_rows(
        store,
        StoredRows(
            key=key,
            rows=count,
            raw_bytes=len(rows),
            stored_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            sha256_rows=hashlib.sha256(rows).hexdigest(),
        ),
        data,
    )

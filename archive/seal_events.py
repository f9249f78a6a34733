"""The normalized files of one shard of a day's tickers: a pure function of the planned raw lines."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import google_crc32c
import msgspec

from archive import layout, seal_manifest
from archive.day_lines import DayLine, first_n_on, hour_lines, hours_of, session_lines
from archive.files import Damaged
from archive.identities import IdentitySet
from archive.merge import Seen, merged
from archive.rows import StoredRows, compress, pieces, put_rows
from archive.seal_manifest import DayManifest, Plan, QualityCount, SealedFile, Shard
from archive.spill import Spill, Spilled
from archive.store import Store
from archive.stored_identities import put_identities
from streaming import failpoints, wire
from streaming.events import BookSnapshot, Event, GapNotice, Trade
from streaming.issues import Issue
from streaming.kalshi.normalizer import Normalizer
from streaming.subjects import token_of

LEVEL = 3
PUTS_AT_ONCE = 16
DAYS_BACK = 30  # how far a session may reach back
FOLDERS = ["trade", "orderbook", "status", "ticker"]
_NUMBER = {"trade": 0, "orderbook": 1, "checkpoint": 1, "status": 2, "ticker": 3}


def seal_shard(
    raw: Store, normalized: Store, plan: Plan, base: DayManifest | None, shard: int, *, work: Path
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
    before = _index_of(normalized, base, shard)
    writer = _Writer(normalized, plan, before)
    index = sorted(writer.write(spill.files()), key=lambda file: (file.kind, file.ticker or ""))
    failpoints.reach("seal.shard_written")
    report = Shard(
        shard=shard,
        index=_put_index(normalized, plan, shard, index),
        identities=put_identities(raw, plan, f"{shard:03d}", events.identities),
        files=len(index),
        markets=spill.tickers,
        rows=dict(sorted(_sum(index, "rows").items())),
        raw_bytes=sum(file.raw_bytes for file in index),
        stored_bytes=sum(file.stored_bytes for file in index),
        overlap=writer.overlap,
        unmappable=events.unmappable,
        quality=[events.quality[kind] for kind in sorted(events.quality)],
        mappers=events.mappers,
    )
    raw.put_if_absent(key, seal_manifest.encode(report))
    failpoints.reach("seal.shard_committed")
    return report


def _sum(index: list[SealedFile], field: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for file in index:
        found[file.kind] += getattr(file, field)
    return found


class ShardEvents:
    """The events of the tickers of one shard, in order of receive time; what the others need is only counted."""

    def __init__(self, raw: Store, plan: Plan, base: DayManifest | None, shard: int) -> None:
        self._raw, self._plan, self._base, self._shard = raw, plan, base, shard
        self._sessions: dict[str, Normalizer] = {}
        self._mine: dict[str, bool] = {}
        self.identities = IdentitySet()
        self.quality: dict[str, QualityCount] = {}
        self.unmappable = 0

    def __iter__(self) -> Iterator[tuple[int, str, int, str, int, int, bytes]]:
        """(folder number, ticker, recv_ns, session, n, k, message) of each event."""
        for hour in hours_of(self._plan, self._base):
            for line in hour_lines(self._raw, self._plan, self._base, hour):
                normalizer = self._sessions.get(line.session)
                if normalizer is None:
                    normalizer = self._sessions[line.session] = self._begin(line)
                for event in self._read(normalizer, line):
                    if type(event) is not GapNotice and self._is_mine(event.ticker):
                        k = event.origin.k
                        self.identities.add(line.session, line.n, k)
                        kind = _NUMBER[token_of(event)]
                        message = wire.encode(event)
                        yield kind, event.ticker, line.recv_ns, line.session, line.n, k, message
                if normalizer.issues:
                    self._note(line, normalizer.issues)

    def _read(self, normalizer: Normalizer, line: DayLine) -> list[Event]:
        raw = line.raw
        if self._plan.shards > 1 and not line.is_mark:
            ticker = ticker_of(raw.record.payload)
            if ticker is not None and not self._is_mine(ticker):
                normalizer.pass_over(raw.sid, raw.seq, is_of_book=raw.raw_type == "orderbook")
                return []
        return normalizer.apply(raw.record)

    def _is_mine(self, ticker: str) -> bool:
        known = self._mine.get(ticker)
        if known is None:
            known = self._mine[ticker] = shard_of(ticker, self._plan.shards) == self._shard
        return known

    def _begin(self, first: DayLine) -> Normalizer:
        """A session that began on an earlier day is read from its beginning: its books reach into this day."""
        normalizer = Normalizer(first.session)
        for line in earlier_lines(self._raw, self._plan, first):
            self._read(normalizer, line)
        return normalizer

    def _note(self, line: DayLine, issues: tuple[Issue, ...]) -> None:
        for issue in issues:
            if not self._is_mine(issue.ticker):  # what names no ticker belongs to one shard, too
                continue
            self.unmappable += issue.is_lost
            kind = issue.kind.value
            known = self.quality.get(kind) or QualityCount(
                issue=kind, count=0, session=line.session, n=issue.n, sample=issue.sample
            )
            self.quality[kind] = msgspec.structs.replace(known, count=known.count + 1)

    @property
    def mappers(self) -> list[str]:
        """The ids of the mappers that read something."""
        return sorted({mapper for one in self._sessions.values() for mapper in one.mappers})


# A frame that names its market exactly once, in plain characters: no need to read all of it to see whose it is.
_TICKER = re.compile(rb'"market_ticker"\s*:\s*"([^"\\]+)"')


def ticker_of(payload: bytes) -> str | None:
    """The market that a frame is of; None where only reading it tells."""
    if payload.count(b'"market_ticker"') != 1:
        return None
    found = _TICKER.search(payload)
    return found[1].decode(errors="replace") if found else None


def shard_of(ticker: str, shards: int) -> int:
    """Which shard a ticker belongs to: for ever the same."""
    return int(google_crc32c.value(ticker.encode()) % shards)


def earlier_lines(raw: Store, plan: Plan, first: DayLine) -> Iterator[DayLine]:
    """The session's records before its first one of this day."""
    due, on, days = first.n, plan.date, list[date]()
    while due > 1 and len(days) < DAYS_BACK:
        on -= timedelta(days=1)
        found = first_n_on(raw, plan.feed, on, first.session)
        if found is None:
            break
        due = found
        days.append(on)
    if due > 1:
        raise Damaged(f"records 1 to {due - 1} of {first.session} are not in the archive of the days before")
    for on in reversed(days):
        yield from session_lines(raw, plan.feed, on, first.session)


class _Writer:
    """Events to files, many at a time: on a store far away a put is nothing but waiting."""

    def __init__(self, store: Store, plan: Plan, before: dict[tuple[str, str | None], SealedFile]) -> None:
        self._store, self._plan, self._before = store, plan, before
        self.overlap = 0

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
            return same
        put = put_rows(self._store, file, data)
        file = msgspec.structs.replace(file, stored_bytes=put.stored_bytes, sha256=put.sha256)
        for _ in pieces(self._store, file):  # read back: every byte against its digest
            continue
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


def _index_of(store: Store, base: DayManifest | None, shard: int) -> dict[tuple[str, str | None], SealedFile]:
    if base is None:
        return {}
    return {(file.kind, file.ticker): file for file in read_index(store, base.shards[shard].index)}


def _put_index(store: Store, plan: Plan, shard: int, index: list[SealedFile]) -> StoredRows:
    rows = b"".join(msgspec.json.encode(file) + b"\n" for file in index)
    key = layout.index_file(plan.feed, plan.schema, plan.date, version=plan.version, shard=shard)
    return _put(store, key, rows, len(index), compress(rows, level=LEVEL))


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

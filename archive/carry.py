"""What a session's normalizer knew at the end of a sealed day, so that the next day need not read it from its first record.

A short cut, never a source: it is a function of raw lines and of the code that read them, and is taken only where that
code is still the same, byte for byte. Without it the session is read again from its beginning.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

import msgspec

import streaming
from archive import layout, seal_manifest
from archive.files import Damaged
from archive.rows import StoredRows, compress, pieces, put_rows
from archive.seal_manifest import DayManifest, Plan
from archive.store import Store
from streaming.kalshi.normalizer import Normalizer
from streaming.kalshi.normalizer_state import NormalizerState

LEVEL = 3
_States = dict[str, tuple[int, bytes]]  # of each session: the last n, and the state behind it
_READERS = ("book", "events", "fold", "kalshi/*", "marks", "records", "wire*", "delta_message")


class _Carried(msgspec.Struct):
    reader: str
    sessions: _States


@cache
def reader_sha256() -> str:
    """What the modules that make events of frames look like: another text may know other things."""
    digest = hashlib.sha256()
    for pattern in _READERS:
        for path in sorted(Path(streaming.__file__).parent.glob(f"{pattern}.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def put_carry(store: Store, plan: Plan, shard: int, found: _States) -> StoredRows:
    """Store what the sessions of one shard knew at the end."""
    rows = msgspec.msgpack.encode(_Carried(reader_sha256(), dict(sorted(found.items()))))
    data = compress(rows, level=LEVEL)
    stored = StoredRows(
        key=f"{layout.seal_prefix(plan.feed, plan.date)}{plan.version:04d}.state-{shard:03d}.zst",
        rows=len(found),
        raw_bytes=len(rows),
        stored_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        sha256_rows=hashlib.sha256(rows).hexdigest(),
    )
    return put_rows(store, stored, data)


def taken_up(
    store: Store, plan: Plan, session: str, first_n: int, is_mine: Callable[[str], bool]
) -> Normalizer | None:
    """A normalizer that stands just before record `first_n`; None where the day before does not tell."""
    before = seal_manifest.latest(store, plan.feed, plan.date - timedelta(days=1))
    if before is None:
        return None
    states = [state for state in _states(store, before, session, first_n - 1) if state is not None]
    if len(states) != len(before.shards):
        return None
    # Every shard counted all frames; the books of a market were kept by the shard that it belonged to on that day.
    markets = [market for state in states for market in state.markets if is_mine(market.ticker)]
    together = msgspec.structs.replace(states[0], markets=markets)
    return Normalizer.resumed(msgspec.msgpack.encode(together), mapper=plan.mapper or None)


def _states(store: Store, before: DayManifest, session: str, last_n: int) -> list[NormalizerState | None]:
    found: list[NormalizerState | None] = []
    for shard in before.shards:
        try:
            rows = b"".join(pieces(store, shard.carry))
        except Damaged:
            return []
        carried = msgspec.msgpack.decode(rows, type=_Carried)
        n, state = carried.sessions.get(session, (0, b"")) if carried.reader == reader_sha256() else (0, b"")
        found.append(msgspec.msgpack.decode(state, type=NormalizerState) if n == last_n else None)
    return found

"""Small ledgers and archives in memory, to be spoiled."""

from collections.abc import Sequence

from streaming import marks
from streaming.records import Kind, Record
from tests.oracle import Archived, Sent, judge_archive
from tests.streaming.kalshi.frames import delta, frame, snapshot, trade

FEED, SESSION, LATER = "kalshi-sim", "kalshi-sim-1", "kalshi-sim-2"
NOON = 1_765_713_600_000_000_000  # 2025-12-14T12:00:00Z
ACK = frame("subscribed", sid=None, id=1, msg={"channel": "trade", "sid": 2})
Item = bytes | marks.Mark


def sent_on(connection: int, first: int = 1, count: int = 6) -> list[bytes]:
    """An acknowledgement that every connection has, a snapshot, deltas, trades."""
    name = f"M{connection}"
    numbers = range(first + 1, first + count)
    body = [frame for n in numbers for frame in (delta(name, n), trade(name, n, trade_id=f"{name}-{n}"))]
    return [ACK, snapshot(name, first), *body]


def session(*items: tuple[int, Item], name: str = SESSION, at_ns: int = NOON) -> Archived:
    """What the archive has: (connection, frame or mark) in order of n."""
    records = [
        Record(
            n, at_ns + n, connection, Kind.MARK if not isinstance(item, bytes) else Kind.TEXT, _bytes(item)
        )
        for n, (connection, item) in enumerate(items, start=1)
    ]
    return Archived(name, records)


def _bytes(item: Item) -> bytes:
    return item if isinstance(item, bytes) else marks.encode(item)


def on(connection: int, frames: Sequence[bytes]) -> list[tuple[int, Item]]:
    return [(connection, one) for one in frames]


def ledger(**connections: list[bytes]) -> list[Sent]:
    return [Sent(int(name.removeprefix("c")), one) for name, frames in connections.items() for one in frames]


def lost(connection: int, after_n: int, cause: str = "connection_lost", sid: int = 0) -> marks.GapOpen:
    return marks.GapOpen(cause=cause, connection=connection, from_ns=NOON, after_n=after_n, sid=sid)


def opened(connection: int) -> tuple[int, Item]:
    return (connection, marks.ConnectionOpen(connection))


def closed(connection: int) -> tuple[int, Item]:
    return (connection, marks.ConnectionClose(connection, 1006, ""))


END: tuple[int, Item] = (0, marks.SessionEnd("stopped"))
CRASHED: tuple[int, Item] = (0, marks.SessionEnd("process_crash"))


def faults(sent: list[Sent], *archive: Archived) -> list[str]:
    return judge_archive(sent, archive).faults


def whole() -> Archived:
    return session(opened(1), *on(1, sent_on(1)), closed(1), END)

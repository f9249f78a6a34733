"""The judge of every end-to-end test: what the exchange sent = what is archived + what gap rows own up to.

It trusts the exchange's ledger, reads the archive through its manifests and the bus through its stream, and rebuilds
order books in its own slow and simple way. It is itself tested by breaking the system on purpose (test_oracle.py).
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from archive.layout import parse_manifest_key
from archive.raw import read_manifest, read_part
from archive.store import Store
from streaming import marks
from streaming.events import BookDelta, BookSide, BookSnapshot, GapNotice, Trade
from streaming.records import Kind, Record

Book = dict[str, dict[Decimal, Decimal]]  # side ("yes"/"no") -> price -> size


@dataclass(frozen=True)
class Sent:
    """One frame that the exchange handed to a socket."""

    connection: int
    frame: bytes


@dataclass
class Archived:
    """One session as the raw archive has it, in order of n."""

    session: str
    records: list[Record] = field(default_factory=list)

    @property
    def gaps(self) -> list[tuple[int, marks.GapOpen]]:
        """(n, mark) of every gap that was opened."""
        found = (
            (record.n, marks.decode(record.payload)) for record in self.records if record.kind == Kind.MARK
        )
        return [(n, mark) for n, mark in found if isinstance(mark, marks.GapOpen)]

    @property
    def connections(self) -> dict[int, list[Record]]:
        """The frames of each connection."""
        found: dict[int, list[Record]] = defaultdict(list)
        for record in self.records:
            if record.kind != Kind.MARK:
                found[record.connection].append(record)
        return dict(found)


@dataclass
class Verdict:
    """Everything that is wrong; nothing is, when `faults` is empty."""

    faults: list[str] = field(default_factory=list)
    sent: int = 0
    archived: int = 0
    disclosed: int = 0

    def blame(self, fault: str) -> None:
        """Add one fault."""
        self.faults.append(fault)


def read_ledger(path: Path) -> list[Sent]:
    """The exchange's ground truth."""
    return [_sent(json.loads(line)) for line in path.read_bytes().splitlines()]


def _sent(line: Mapping[str, object]) -> Sent:
    if "frame_b64" in line:
        return Sent(int(str(line["conn"])), base64.b64decode(str(line["frame_b64"])))
    return Sent(int(str(line["conn"])), str(line["frame"]).encode())


def read_archive(store: Store, feed: str) -> list[Archived]:
    """Every session of the feed, as committed manifests list it, in the order in which the sessions began."""
    keys = sorted(key for name in store.list(f"{feed}/") if (key := parse_manifest_key(name)) is not None)
    sessions: dict[str, Archived] = {}
    for key in keys:
        session = sessions.setdefault(key.session, Archived(key.session))
        session.records.extend(one.record for one in read_part(store, read_manifest(store, key)))
    for session in sessions.values():
        session.records.sort()
    return sorted(sessions.values(), key=lambda one: one.records[0].received_ns)


def judge_archive(sent: Sequence[Sent], archive: Sequence[Archived]) -> Verdict:
    """Every sent frame is archived byte for byte exactly once, or lies in its connection's order where a gap mark does."""
    verdict = Verdict(sent=len(sent))
    for session in archive:
        _judge_numbers(session, verdict)
    ledger: dict[int, list[bytes]] = defaultdict(list)
    for one in sent:
        ledger[one.connection].append(one.frame)
    recorded = [
        (session, number, frames)
        for session in archive
        for number, frames in sorted(session.connections.items())
    ]
    if len(recorded) > len(ledger):
        verdict.blame(f"{len(recorded)} connections are archived, the exchange saw {len(ledger)}")
    pairs = _pair(ledger, [[record.payload for record in frames] for _, _, frames in recorded])
    for conn, index in pairs.items():
        if index is None:
            _judge_unrecorded(conn, ledger[conn], archive, verdict)
        else:
            session, number, frames = recorded[index]
            _judge_connection(conn, ledger[conn], session, number, frames, verdict)
    return verdict


def _judge_numbers(session: Archived, verdict: Verdict) -> None:
    numbers = [record.n for record in session.records]
    if numbers != list(range(1, len(numbers) + 1)):
        verdict.blame(f"{session.session}: n is not 1..{len(numbers)} without holes and repetitions")
    times = [record.received_ns for record in session.records]
    if any(later <= earlier for earlier, later in pairwise(times)):
        verdict.blame(f"{session.session}: recv_ns does not rise strictly")


def _pair(ledger: Mapping[int, list[bytes]], recorded: Sequence[Sequence[bytes]]) -> dict[int, int | None]:
    """Which archived connection is which of the exchange's: both are in order of time; most frames in common wins."""
    pairs: dict[int, int | None] = {}
    left = list(range(len(recorded)))
    for conn in sorted(ledger):
        known = set(ledger[conn])
        best = max(left, key=lambda index: sum(frame in known for frame in recorded[index]), default=None)
        if best is not None and any(frame in known for frame in recorded[best]):
            left.remove(best)
            pairs[conn] = best
        else:
            pairs[conn] = None
    return pairs


def _judge_unrecorded(conn: int, frames: list[bytes], archive: Sequence[Archived], verdict: Verdict) -> None:
    crashed = any(mark.cause == "process_crash" for session in archive for _, mark in session.gaps)
    if crashed:
        verdict.disclosed += len(frames)
    else:
        verdict.blame(f"connection {conn}: none of its {len(frames)} frames is archived, and nothing says so")


def _judge_connection(
    conn: int, sent: list[bytes], session: Archived, number: int, got: list[Record], verdict: Verdict
) -> None:
    """Walk both lists side by side; what is missing must lie where a gap mark of this connection says so."""
    verdict.archived += len(got)
    position = 0
    for record in got:
        found = _next(sent, record.payload, position)
        if found is None:
            verdict.blame(f"{session.session}.{record.n}: not a frame of connection {conn} that was due here")
            continue
        if found > position:
            _judge_hole(conn, found - position, session, number, (record.n,), verdict)
        position = found + 1
    if position < len(sent):
        _judge_hole(conn, len(sent) - position, session, number, (), verdict)


def _next(sent: list[bytes], frame: bytes, position: int) -> int | None:
    if position < len(sent) and sent[position] == frame:
        return position
    try:
        return sent.index(frame, position)
    except ValueError:
        return None


def _judge_hole(
    conn: int, missing: int, session: Archived, number: int, before: tuple[int, ...], verdict: Verdict
) -> None:
    """The gap's last good frame (`after_n`) must be this connection's last one before the hole."""
    frames = [record.n for record in session.connections[number] if not before or record.n < before[0]]
    last = frames[-1] if frames else 0
    limit = before[0] if before else len(session.records) + 1
    for _, mark in session.gaps:
        if mark.planned:
            continue  # a planned stop reads all that was sent before it: it excuses nothing
        if mark.connection in (0, number) and last <= mark.after_n < limit:
            verdict.disclosed += missing
            return
    verdict.blame(
        f"connection {conn}: {missing} frames after {session.session}.{last} are missing, and nothing says so"
    )


# --- the bus -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TradeFact:
    """A trade's exact facts, as decimals in dollars and contracts."""

    trade_id: str
    ticker: str
    price: Decimal
    size: Decimal


def trades_of(frames: Iterable[bytes]) -> Iterator[TradeFact]:
    """The trades among frames as the exchange wrote them."""
    for frame in frames:
        if b'"type":"trade"' not in frame:
            continue
        message = json.loads(frame)["msg"]
        yield TradeFact(
            message["trade_id"],
            message["market_ticker"],
            Decimal(message["yes_price_dollars"]),
            Decimal(message["count_fp"]),
        )


def fact_of(trade: Trade) -> TradeFact:
    """A trade of the bus in the same terms."""
    return TradeFact(
        trade.trade_id, trade.ticker, Decimal(trade.price_e4) / 10_000, Decimal(trade.size_e2) / 100
    )


def judge_trades(
    archive: Sequence[Archived], published: Sequence[Trade], notices: Sequence[GapNotice]
) -> list[str]:
    """Every archived trade is on the bus exactly once with its price and size; of a crashed session at most once, and
    what may be missing lies in the range that its gap event states."""
    by_identity = Counter(trade.origin.identity for trade in published)
    faults = [
        f"trade {identity} is on the bus {count} times"
        for identity, count in by_identity.items()
        if count > 1
    ]
    facts = {trade.origin.identity: fact_of(trade) for trade in published}
    stated = {notice.session: notice.unpublished for notice in notices if notice.unpublished}
    known = set()
    for session in archive:
        for record in session.records:
            for expected in trades_of([record.payload] if record.kind == Kind.TEXT else []):
                identity = f"{session.session}.{record.n}.0"
                known.add(identity)
                found = facts.get(identity)
                if found is None:
                    faults += _missing_trade(identity, record.n, stated.get(session.session))
                elif found != expected:
                    faults.append(f"trade {identity} is {found} on the bus, was {expected}")
    faults += [
        f"trade {identity} is on the bus, and in no frame" for identity in facts if identity not in known
    ]
    return faults


def _missing_trade(identity: str, n: int, stated: tuple[int, int] | None) -> list[str]:
    if stated and stated[0] <= n <= stated[1]:
        return []
    return [f"trade {identity} is not on the bus, and no gap event says so"]


# --- books ---------------------------------------------------------------------------------------------------


def books_of_frames(frames: Iterable[bytes]) -> dict[str, Book]:
    """Order books rebuilt from frames as the exchange wrote them: the slow and simple way."""
    books: dict[str, Book] = {}
    for frame in frames:
        if b'"orderbook_' not in frame:
            continue
        message = json.loads(frame)
        body = message["msg"]
        if message["type"] == "orderbook_snapshot":
            books[body["market_ticker"]] = {
                side: {Decimal(price): Decimal(size) for price, size in body.get(f"{side}_dollars_fp", ())}
                for side in ("yes", "no")
            }
        elif message["type"] == "orderbook_delta" and body["market_ticker"] in books:
            _change(
                books[body["market_ticker"]][body["side"]],
                Decimal(body["price_dollars"]),
                Decimal(body["delta_fp"]),
            )
    return books


def _change(levels: dict[Decimal, Decimal], price: Decimal, delta: Decimal) -> None:
    levels[price] = levels.get(price, Decimal(0)) + delta
    if levels[price] == 0:
        del levels[price]


def books_of_events(events: Iterable[BookSnapshot | BookDelta]) -> dict[str, Book]:
    """The same books as the bus tells them: by the connector's own resting sizes and checkpoints."""
    books: dict[str, Book] = {}
    for event in events:
        if isinstance(event, BookSnapshot):
            books[event.ticker] = {
                "yes": {Decimal(one.price_e4) / 10_000: Decimal(one.size_e2) / 100 for one in event.bids},
                "no": {1 - Decimal(one.price_e4) / 10_000: Decimal(one.size_e2) / 100 for one in event.asks},
            }
        elif event.size_e2 is not None and event.ticker in books:
            price = Decimal(event.price_e4) / 10_000
            levels = books[event.ticker]["yes" if event.side is BookSide.BID else "no"]
            at = price if event.side is BookSide.BID else 1 - price
            levels[at] = Decimal(event.size_e2) / 100
            if event.size_e2 == 0:
                del levels[at]
    return books


def last_connection(sent: Sequence[Sent]) -> list[bytes]:
    """The frames of the last connection that carried order books."""
    with_books = [one.connection for one in sent if b'"orderbook_snapshot"' in one.frame]
    return [one.frame for one in sent if with_books and one.connection == with_books[-1]]

"""The judge of every end-to-end test: what the exchange sent = what is archived + what gap rows own up to.

It trusts the exchange's ledger and reads the archive through its manifests. It is itself tested by breaking things on
purpose (test_oracle.py); oracle_of_bus.py judges what was published.
"""

import base64
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from archive.layout import parse_manifest_key
from archive.raw import read_manifest, read_part
from archive.store import Store
from streaming import marks
from streaming.records import Kind, Record


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
    """The exchange's ground truth; it may still be writing, and a line is one once its end is there."""
    *lines, _being_written = path.read_bytes().split(b"\n")
    return [_sent(json.loads(line)) for line in lines]


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
    pairs = _pair(ledger, [[record.payload for record in frames] for _, _, frames in recorded])
    for extra in set(range(len(recorded))) - set(pairs.values()):
        session, number, _ = recorded[extra]
        verdict.blame(f"{session.session}: its connection {number} is none that the exchange saw")
    excuses = _excuses(archive)
    for conn, index in pairs.items():
        if index is None:
            _judge_unrecorded(conn, ledger[conn], excuses, verdict)
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
    """Which archived connection is which of the exchange's: most frames in common that no other connection had."""
    carried = Counter(frame for frames in ledger.values() for frame in set(frames))
    own = {conn: {frame for frame in frames if carried[frame] == 1} for conn, frames in ledger.items()}
    common = [
        (sum(frame in (own[conn] or set(ledger[conn])) for frame in frames), -conn, -index)
        for conn in ledger
        for index, frames in enumerate(recorded)
    ]
    pairs: dict[int, int | None] = dict.fromkeys(sorted(ledger))
    taken = set()
    for count, conn, index in sorted(common, reverse=True):
        if count and pairs[-conn] is None and -index not in taken:
            pairs[-conn] = -index
            taken.add(-index)
    return pairs


def _excuses(archive: Sequence[Archived]) -> list[str]:
    """The gap marks that can own up to a connection of which no frame is recorded: each to one."""
    return [
        f"{session.session}.{n}"
        for session in archive
        for n, mark in session.gaps
        if not mark.planned
        and (mark.cause == "process_crash" or mark.connection not in {0, *session.connections})
    ]


def _judge_unrecorded(conn: int, frames: list[bytes], excuses: list[str], verdict: Verdict) -> None:
    if excuses:
        excuses.pop(0)
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
            _judge_hole(conn, sent[position:found], session, number, record.n, verdict)
        position = found + 1
    if position < len(sent):
        _judge_hole(conn, sent[position:], session, number, len(session.records) + 1, verdict)


def _next(sent: list[bytes], frame: bytes, position: int) -> int | None:
    if position < len(sent) and sent[position] == frame:
        return position
    try:
        return sent.index(frame, position)
    except ValueError:
        return None


def _judge_hole(
    conn: int, missing: list[bytes], session: Archived, number: int, before: int, verdict: Verdict
) -> None:
    """A gap mark must own up to it, and begin where the hole begins."""
    frames = [record for record in session.connections[number] if record.n < before]
    for n, mark in session.gaps:
        # A planned stop reads all that was sent before it: it excuses nothing.
        if mark.cause == "capture_loss":
            is_told = _is_in_the_hole(mark, frames, missing, before)
        else:
            is_told = not mark.planned and _owns_up(mark, n, session, number, frames, missing)
        if is_told:
            verdict.disclosed += len(missing)
            return
    last = frames[-1].n if frames else 0
    verdict.blame(
        f"connection {conn}: {len(missing)} frames after {session.session}.{last} are missing,"
        " and nothing says so"
    )


def _owns_up(
    mark: marks.GapOpen, n: int, session: Archived, number: int, frames: list[Record], missing: list[bytes]
) -> bool:
    if mark.cause == "process_crash":
        is_last = n == len(session.records) - 1 and mark.after_n == n - 1
        return is_last and _is_open_at(n, session, number)
    if mark.cause == "buffer_overflow":
        return _is_inside(session, mark, n, number, frames)
    if mark.connection != number:
        return False
    if mark.sid:
        frames = [record for record in frames if _sid(record.payload) == mark.sid]
        if {_sid(frame) for frame in missing} != {mark.sid}:
            return False
    return mark.after_n == (frames[-1].n if frames else 0)


def _is_in_the_hole(mark: marks.GapOpen, frames: list[Record], missing: list[bytes], before: int) -> bool:
    """A damaged log: as many records as the mark names are lost, all of them between these two frames."""
    last_n = int(mark.detail["last_n"])
    is_between = (frames[-1].n if frames else 0) <= mark.after_n and last_n < before
    return is_between and len(missing) <= last_n - mark.after_n


def _is_inside(session: Archived, mark: marks.GapOpen, n: int, number: int, frames: list[Record]) -> bool:
    """Frames were dropped here and there, until the mark that closes it: one connection later where books were hurt."""
    last = frames[-1].n if frames else _opened_at(session, number)
    is_begun = number != mark.connection or mark.after_n <= last
    return is_begun and _closed_at(session, n) > last


def _opened_at(session: Archived, number: int) -> int:
    """The n of the mark with which a connection began."""
    return next((n for n, mark in _marks(session) if mark == marks.ConnectionOpen(number)), 0)


def _closed_at(session: Archived, number: int) -> int:
    """The n of the mark that closes a gap; after everything where there is none."""
    closing = (n for n, mark in _marks(session) if isinstance(mark, marks.GapClose) and mark.gap == number)
    return next(closing, len(session.records) + 1)


def _marks(session: Archived) -> Iterator[tuple[int, marks.Mark]]:
    return (
        (record.n, marks.decode(record.payload)) for record in session.records if record.kind == Kind.MARK
    )


def _is_open_at(n: int, session: Archived, number: int) -> bool:
    """Whether the connection had not ended when the process died (or in the very last thing that it wrote)."""
    closed = [
        record.n
        for record in session.records
        if record.kind == Kind.MARK
        and isinstance(mark := marks.decode(record.payload), marks.ConnectionClose)
        and mark.connection == number
    ]
    return not closed or closed == [n - 1]


def _sid(frame: bytes) -> int | None:
    try:
        found = json.loads(frame).get("sid")
    except (ValueError, AttributeError):
        return None
    return found if isinstance(found, int) else None

"""What the exchange's ledger says of a loss: when it can have begun, and when it was over."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from streaming import marks
from streaming.issues import Issue
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind
from tests.faults.capture_rig import Rig
from tests.oracle import Archived

SLACK_NS = 1_000_000_000  # what faults.md allows
ORDER_NS = 50_000_000  # the ledger is written just before the socket
CHANNELS = 4
INCOMPLETE = "subscription_incomplete"


class Loss(NamedTuple):
    """A gap of the archive; `to_ns` is None where it was never closed."""

    gap: marks.GapOpen
    to_ns: int | None


class Told(NamedTuple):
    """One line of the ledger, as far as it can be read."""

    connection: int
    at_ns: int
    kind: str
    about: str  # the channel of an acknowledgement, the market of a book


def unplanned(archive: list[Archived]) -> list[Loss]:
    """All losses but the end of the session."""
    found = []
    for session in archive:
        told = [marks.decode(record.payload) for record in session.records if record.kind == Kind.MARK]
        ends = {mark.gap: mark.to_ns for mark in told if isinstance(mark, marks.GapClose)}
        found += [Loss(gap, ends.get(n)) for n, gap in session.gaps if gap.cause != "planned_teardown"]
    return found


def ledger(rig: Rig) -> Iterator[Told]:
    """Its lines, in order."""
    if not rig.ledger.exists():
        return
    for line in rig.ledger.read_bytes().splitlines():
        entry = json.loads(line)
        try:
            frame = json.loads(entry.get("frame", ""))
            message = frame.get("msg") or {}
            about = str(message.get("channel") or message.get("market_ticker") or "")
            yield Told(entry["conn"], entry["t_ns"], str(frame.get("type")), about)
        except (ValueError, AttributeError, RecursionError):
            yield Told(entry["conn"], entry["t_ns"], "", "")


def mistimed(rig: Rig, began_ns: Iterable[int], ended_ns: list[int]) -> list[str]:
    """The gap rows that begin or end more than a second from where the loss did."""
    told, began = list(ledger(rig)), list(began_ns)
    losses, wrong = unplanned(rig.archive()), []
    missing = {ticker for loss in losses if loss.gap.cause == INCOMPLETE for ticker in loss.gap.tickers}
    for gap, to_ns in losses:
        if not any(abs(gap.from_ns - at_ns) <= SLACK_NS for at_ns in began):
            wrong.append(f"{gap.cause} begins at {gap.from_ns}, faults at {began}")
        if to_ns is None:
            wrong.append(f"{gap.cause} never ends")
            continue
        ends = ended_ns or list(_recoveries(told, gap, missing))
        if not any(at_ns - ORDER_NS <= to_ns <= at_ns + SLACK_NS for at_ns in ends):
            wrong.append(f"{gap.cause} ends at {to_ns}, recovered at {ends}")
    return wrong


def _recoveries(told: list[Told], gap: marks.GapOpen, missing: set[str]) -> Iterator[int]:
    """When the exchange had sent all that makes it good: on a later connection, or the same.

    Connections do not wait for `missing` books, which are losses of their own, nor for markets that open later.
    """
    if gap.cause == "sequence_gap" and not gap.tickers:
        yield from (
            one.at_ns for one in told if one.at_ns >= gap.from_ns and one.connection == gap.connection
        )
    elif gap.tickers and gap.cause in ("sequence_gap", INCOMPLETE):
        firsts = _firsts(one for one in told if one.at_ns > gap.from_ns)
        books = [at_ns for (kind, about), at_ns in firsts.items() if kind == "orderbook_snapshot" and about in gap.tickers]  # fmt: skip
        if len(books) == len(gap.tickers):
            yield max(books)
    new = {one.about for one in told} - {one.about for one in told if one.connection <= gap.connection}
    for connection in {one.connection for one in told if one.connection > gap.connection}:
        firsts = _firsts(
            one for one in told if one.connection == connection and one.about not in missing | new
        )
        if sum(kind == "subscribed" for kind, _ in firsts) >= (len(gap.channels) or CHANNELS):
            yield max(firsts.values())


def _firsts(told: Iterable[Told]) -> dict[tuple[str, str], int]:
    """When each acknowledgement and each book was first sent."""
    found: dict[tuple[str, str], int] = {}
    for one in told:
        if one.kind in ("subscribed", "orderbook_snapshot"):
            found.setdefault((one.kind, one.about), one.at_ns)
    return found


def frames_of(archive: list[Archived]) -> list[Any]:
    """Every archived frame that can be read."""
    found = []
    for session in archive:
        for record in session.records:
            if record.kind != Kind.MARK:
                try:
                    found.append(json.loads(record.payload))
                except ValueError:
                    found.append(None)
    return found


def read(archive: list[Archived]) -> tuple[list[Any], list[Issue]]:
    """The events and issues to which the archive normalizes."""
    events, issues = list[Any](), list[Issue]()
    for session in archive:
        normalizer = Normalizer(session.session)
        for record in session.records:
            events += normalizer.apply(record)
            issues += normalizer.issues
    return events, issues

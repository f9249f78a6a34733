"""When each loss began and ended, from the marks of all sessions in whatever order they became known. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from archive.layout import day_of
from streaming import marks


class SessionMark(NamedTuple):
    """A mark and whose it is; its receive time in Unix ns."""

    session: str
    n: int
    recv_ns: int
    mark: marks.Mark


@dataclass(frozen=True, slots=True)
class Loss:
    """A gap: `number` is the n of the mark that opened it, times are Unix ns, `end_ns` None while it goes on."""

    session: str
    number: int
    start_ns: int
    end_ns: int | None
    mark: marks.GapOpen


class DayOfLoss(NamedTuple):
    """The part of a loss that lies on one UTC day."""

    on: date
    start_ns: int
    end_ns: int | None


def losses(known: Iterable[SessionMark]) -> list[Loss]:
    """Every gap that was opened.

    What its own session did not close ends, once that session is over, when another session of the environment is
    ready: then all books have snapshots again.
    """
    found = list(known)
    closed = {(at.session, at.mark.gap): at.mark.to_ns for at in found if isinstance(at.mark, marks.GapClose)}
    over = {at.session for at in found if isinstance(at.mark, marks.SessionEnd)}
    ready = sorted((at.recv_ns, at.session) for at in found if isinstance(at.mark, marks.ConnectionReady))

    def end_of(at: SessionMark, mark: marks.GapOpen) -> int | None:
        if (at.session, at.n) in closed:
            return closed[at.session, at.n]
        if at.session not in over:
            return None
        later = (ns for ns, session in ready if session != at.session and ns > mark.from_ns)
        return next(later, None)

    return [_loss(at, at.mark, end_of(at, at.mark)) for at in found if isinstance(at.mark, marks.GapOpen)]


def _loss(at: SessionMark, mark: marks.GapOpen, end_ns: int | None) -> Loss:
    # The clock may have stepped back in between; a gap never ends before it begins.
    end = None if end_ns is None else max(end_ns, mark.from_ns)
    return Loss(at.session, at.n, mark.from_ns, end, mark)


def by_day(loss: Loss, *, today: date) -> Iterator[DayOfLoss]:
    """The loss cut at UTC midnights; one that goes on reaches to today."""
    start_ns, last = loss.start_ns, today if loss.end_ns is None else day_of(loss.end_ns)
    for on in _days(day_of(start_ns), last):
        midnight_ns = start_of(on + timedelta(days=1))
        is_last = on >= last or loss.end_ns == midnight_ns
        yield DayOfLoss(on, start_ns, loss.end_ns if is_last else midnight_ns)
        if is_last:
            return
        start_ns = midnight_ns


def _days(first: date, last: date) -> Iterator[date]:
    yield first
    while first < last:
        first += timedelta(days=1)
        yield first


def start_of(on: date) -> int:
    """Unix ns of the day's first instant, UTC."""
    return int(datetime(on.year, on.month, on.day, tzinfo=UTC).timestamp()) * 1_000_000_000

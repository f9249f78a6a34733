"""When each loss began and ended, from the marks of all sessions in whatever order they became known. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple, TypeGuard

from archive.layout import day_of
from archive.session_marks import (
    CHANNELS,
    SessionMark,
    by_session,
    captured,
    carried,
    closes,
    concerns,
    has_ended,
    own_losses,
    ready,
    shard_of,
)
from registry.calendar import midnight_ns
from streaming import marks

PLANNED_STOP = "planned_teardown"


@dataclass(frozen=True, slots=True)
class Loss:
    """A gap: `number` is the n of the mark that opened it, times are Unix ns, `end_ns` None while it goes on.

    `healed` is how many of its trades REST has told since; None where that was not asked.
    """

    session: str
    number: int
    start_ns: int
    end_ns: int | None
    mark: marks.GapOpen
    healed: int | None = None

    @property
    def is_healed(self) -> bool:
        """Whether nothing is missing any more: what a whole connection lost are not trades alone."""
        return self.healed is not None and self.mark.channel == "trade"


class DayOfLoss(NamedTuple):
    """The part of a loss that lies on one UTC day."""

    on: date
    start_ns: int
    end_ns: int | None


def losses(known: Iterable[SessionMark]) -> list[Loss]:
    """Every gap that was opened, by session and number.

    What its own session did not close ends, once that session is over, with its planned stop, or when another session
    of the environment is ready: then all books have snapshots again. If one is ready already, nothing was missed.
    """
    sessions = by_session(known)
    ready_spans = [
        (session, shard_of(own), span)
        for session, own in sessions.items()
        for span in captured(own, channels=carried(own))
    ]
    return [loss for own in sessions.values() for loss in _of_session(own, ready_spans)]


def _of_session(
    own: Sequence[SessionMark], ready_spans: Iterable[tuple[str, str, tuple[int, int]]]
) -> Iterator[Loss]:
    session, shard = own[0].session, shard_of(own)
    # Of several connectors one does not make good what another lost.
    others = [
        span
        for other, its_shard, span in ready_spans
        if other != session and (not shard or its_shard in ("", shard))
    ]
    closed, is_over = closes(own), has_ended(own)
    healed = {mark.gap: mark.trades for mark in (at.mark for at in own) if _heals(mark)}
    stop = next(
        (at for at in own if isinstance(at.mark, marks.GapOpen) and at.mark.cause == PLANNED_STOP), None
    )
    for at in own:
        if isinstance(at.mark, marks.GapOpen):
            start = at.mark.from_ns if at is not stop else _stopped_since(own, at.mark.from_ns)
            end = _end(at, closed, others, stop=stop) if is_over else closed.get(at.n)
            # The clock may have stepped back in between; a gap never ends before it begins.
            end = None if end is None else max(end, start)
            yield Loss(session, at.n, start, end, at.mark, healed.get(at.n))


def _heals(mark: marks.Mark) -> TypeGuard[marks.GapHealed]:
    return isinstance(mark, marks.GapHealed) and not mark.session


def _end(
    at: SessionMark,
    closed: Mapping[int, int],
    others: Iterable[tuple[int, int]],
    *,
    stop: SessionMark | None,
) -> int | None:
    if at.n in closed:
        return closed[at.n]
    if stop is not None and at is not stop and isinstance(stop.mark, marks.GapOpen):
        return stop.mark.from_ns  # from there on nothing was to be recorded
    assert isinstance(at.mark, marks.GapOpen)
    from_ns = at.mark.from_ns
    return min((max(start, from_ns) for start, end in others if end > from_ns), default=None)


def _stopped_since(own: Sequence[SessionMark], from_ns: int) -> int:
    """A planned stop begins where the first line's last connection ended, if no other loss began there."""
    return min([from_ns, *(_last_known(own, channel, from_ns) for channel in CHANNELS)])


def _last_known(own: Sequence[SessionMark], channel: str, from_ns: int) -> int:
    """Until when the session recorded this channel, or owned up to losing it."""
    ends = [
        end for mark, (_, end) in own_losses(own) if concerns(mark, channel) and mark.cause != PLANNED_STOP
    ]
    ends += [end for _, end in ready(own, channel, until_ns=from_ns)]
    return max(ends, default=from_ns)


def by_day(loss: Loss, *, today: date) -> Iterator[DayOfLoss]:
    """The loss cut at UTC midnights; one that goes on reaches to today."""
    start_ns, last = loss.start_ns, today if loss.end_ns is None else day_of(loss.end_ns)
    for on in _days(day_of(start_ns), last):
        midnight = midnight_ns(on + timedelta(days=1))
        is_last = on >= last or loss.end_ns == midnight
        yield DayOfLoss(on, start_ns, loss.end_ns if is_last else midnight)
        if is_last:
            return
        start_ns = midnight


def _days(first: date, last: date) -> Iterator[date]:
    yield first
    while first < last:
        first += timedelta(days=1)
        yield first

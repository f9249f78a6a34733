"""When a venue trades: hours, weekly maintenance, in its own time zone, exact over both clock changes. Pure.

A local time that comes twice is the first of the two; one that is jumped over is the moment of the jump.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain, pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from registry.refusal import ExitCode, Reason, Refused

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NS = 1_000_000_000
DAY_NS = 86_400 * NS

# Holiday calendars without holidays; dates of the others are not known here.
_WITHOUT_HOLIDAYS = (None, "crypto_247")

MAINTENANCE, CLOSED = "maintenance", "closed"


class Window(NamedTuple):
    """A planned time without trading, in Unix ns, half-open; `why` is maintenance or closed."""

    start_ns: int
    end_ns: int
    why: str


class Weekly(NamedTuple):
    """Maintenance from a local time of a weekday (Monday is 0); an end before the start is on the next day."""

    weekday: int
    start: time
    end: time


Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar in force as plain values; `hours` None: around the clock."""

    zone: str = "UTC"
    hours: tuple[time, time] | None = None
    maintenance: tuple[Weekly, ...] = ()
    holidays: str | None = None

    def __post_init__(self) -> None:
        """A calendar whose holidays are unknown would count them as lost days: it is refused."""
        if self.holidays not in _WITHOUT_HOLIDAYS:
            raise Refused([unknown_holidays(self.holidays)], exit_code=ExitCode.UNAVAILABLE)

    def planned(self, start_ns: int, end_ns: int) -> list[Window]:
        """The windows between two instants, in order, disjoint, cut to them; maintenance comes before closed."""
        if end_ns <= start_ns:
            return []
        maintenance = merged(self._maintenance(start_ns, end_ns))
        closed = [] if self.hours is None else without([(start_ns, end_ns)], self._open(start_ns, end_ns))
        found = chain(
            (Window(*span, MAINTENANCE) for span in within(maintenance, start_ns, end_ns)),
            (Window(*span, CLOSED) for span in without(closed, maintenance)),
        )
        return sorted(found)

    def is_open(self, at_ns: int) -> bool:
        """Whether trading is expected at that instant."""
        return not self.planned(at_ns, at_ns + 1)

    def trading_seconds(self, on: date) -> int:
        """How much of a UTC day trading is expected: the denominator of its coverage."""
        start = midnight_ns(on)
        closed = sum(window.end_ns - window.start_ns for window in self.planned(start, start + DAY_NS))
        return (DAY_NS - closed) // NS

    def _maintenance(self, start_ns: int, end_ns: int) -> Iterator[Span]:
        for day in self._local_days(start_ns, end_ns):
            for weekly in self.maintenance:
                if weekly.weekday == day.weekday():
                    yield self._span(day, weekly.start, weekly.end)

    def _open(self, start_ns: int, end_ns: int) -> list[Span]:
        if self.hours is None:
            return [(start_ns, end_ns)]
        return merged(self._span(day, *self.hours) for day in self._local_days(start_ns, end_ns))

    def _local_days(self, start_ns: int, end_ns: int) -> Iterator[date]:
        """Every local day on which something may begin that reaches into the period."""
        zone = ZoneInfo(self.zone)
        day, last = (_instant(ns).astimezone(zone).date() for ns in (start_ns, end_ns))
        day -= _DAY  # what began the evening before
        while day <= last:
            yield day
            day += _DAY

    def _span(self, day: date, start: time, end: time) -> Span:
        zone = ZoneInfo(self.zone)
        last = day if end > start else day + _DAY
        return _ns(_moment(day, start, zone)), _ns(_moment(last, end, zone))


def unknown_holidays(name: str | None) -> Reason:
    """Why a holiday calendar cannot be used."""
    return Reason(
        f"The dates of holiday calendar '{name}' are not known here",
        "Use crypto_247 for a venue that trades every day; a venue with holidays cannot be counted yet.",
    )


def midnight_ns(on: date) -> int:
    """The first instant of a UTC day, in Unix ns."""
    return (on - _EPOCH.date()).days * DAY_NS


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, disjoint, without empty ones."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = result[-1][0], max(result[-1][1], end)
        else:
            result.append((start, end))
    return result


def within(spans: Iterable[Span], start: int, end: int) -> Iterator[Span]:
    """What lies between two instants."""
    for one, other in spans:
        if one < end and other > start:
            yield max(one, start), min(other, end)


def without(spans: Iterable[Span], holes: list[Span]) -> list[Span]:
    """What is left of spans; the holes are merged ones."""
    left: list[Span] = []
    for start, end in spans:
        edges = [start, *chain.from_iterable(within(holes, start, end)), end]
        left += [(one, other) for one, other in list(pairwise(edges))[::2] if one < other]
    return left


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When a local clock first shows this time, or jumps over it."""
    local = datetime.combine(day, at, zone)
    first = local.astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return first
    return _jump(local.replace(fold=1).astimezone(UTC), first, zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second with another offset than `before` has."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _instant(ns: int) -> datetime:
    return _EPOCH + timedelta(seconds=ns // NS)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // _SECOND * NS

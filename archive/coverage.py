"""Tiles a UTC day, channel by channel, with what was captured and what was not. Pure; times are Unix ns.

Whatever the marks say, the tiles of a channel are in order, touch each other and fill the day exactly.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from archive.gaps import Loss, losses
from archive.session_marks import (
    CHANNELS,
    SILENT_NS,
    Run,
    SessionMark,
    captured,
    carried,
    concerns,
    has_ended,
    runs_of,
    shard_of,
    with_assumed_ends,
)
from registry.calendar import DAY_NS, Span, merged, midnight_ns, within, without
from streaming import marks

# Lost on the way to the bus: raw has it.
_OF_THE_BUS = ("stream_hole", "oversize_event")


class Kind(StrEnum):
    """What is known of a time."""

    CAPTURED = "captured"
    GAP = "gap"
    NOT_STARTED = "not_started"  # before the feed's very first session was ready
    PENDING = "pending"  # a running session's records are not committed yet
    UNEXPLAINED = "unexplained"  # neither recorded nor owned up to: an integrity failure


class Tile(NamedTuple):
    """A part of the day; `loss` is what a gap belongs to."""

    kind: Kind
    start_ns: int
    end_ns: int
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of the sessions that touch a day: their marks from the beginning, their committed records."""

    sessions: Mapping[str, Sequence[SessionMark]]
    losses: Sequence[Loss]
    runs: Sequence[Run]
    whole: Mapping[str, list[Span]]  # when each session recorded every channel whole
    now_ns: int
    since_ns: int | None  # the feed's first record ever


def evidence(
    known: Iterable[SessionMark], parts: Iterable[Run], *, now_ns: int, since_ns: int | None
) -> Evidence:
    """Put together what marks and committed records tell; sessions that fell silent count as dead."""
    runs = runs_of(parts)
    sessions = with_assumed_ends(known, runs, now_ns=now_ns)
    found = losses(at for own in sessions.values() for at in own)
    last = _last(runs)
    whole = {session: captured(own, until_ns=last.get(session, 0)) for session, own in sessions.items()}
    return Evidence(sessions, found, runs, whole, now_ns, since_ns)


def _last(runs: Iterable[Run]) -> dict[str, int]:
    """When the latest committed record of each session was received."""
    return {run.session: run.last_ns for run in runs}


def tiles(seen: Evidence, on: date, channel: str) -> list[Tile]:
    """The day of one channel; today ends now."""
    start, end = day_span(on, seen.now_ns)
    whole = merged(within(_captured(seen, channel), start, end))
    found = [Tile(Kind.CAPTURED, *span) for span in whole]
    left = without([(start, end)], whole) if end > start else []
    lost = list(_lost(seen, left, channel))
    found += lost
    left = without(left, merged((tile.start_ns, tile.end_ns) for tile in lost))
    for kind, spans in (
        (Kind.NOT_STARTED, _before_the_first(seen, channel)),
        (Kind.PENDING, _not_committed(seen)),
    ):
        told = [piece for span in spans for piece in within(left, *span)]
        found += [Tile(kind, *piece) for piece in told]
        left = without(left, merged(told))
    return sorted(found + [Tile(Kind.UNEXPLAINED, *span) for span in left], key=lambda tile: tile.start_ns)


def day_span(on: date, now_ns: int) -> Span:
    """A UTC day from midnight to midnight, today's until now."""
    start = midnight_ns(on)
    return start, max(start, min(start + DAY_NS, now_ns))


def _captured(seen: Evidence, channel: str) -> list[Span]:
    """What some session recorded; of several connectors each must have recorded its own markets."""
    holes, last = _holes(seen.runs), _last(seen.runs)
    of_shard: dict[str, list[Span]] = {}
    for session, own in seen.sessions.items():
        recorded = captured(own, channel=channel, until_ns=last.get(session, 0))
        of_shard.setdefault(shard_of(own), []).extend(without(recorded, holes.get(session, [])))
    whole = merged(span for spans in of_shard.values() for span in spans)
    if len(of_shard) < 2:
        return whole
    for shard, spans in of_shard.items():
        whole = without(whole, merged(without(_lost_by(seen, shard, channel), merged(spans))))
    return whole


def _lost_by(seen: Evidence, shard: str, channel: str) -> list[Span]:
    """When sessions of one connector of several lost this channel, which it carries."""
    own = {
        session: marks_of
        for session, marks_of in seen.sessions.items()
        if shard and shard_of(marks_of) == shard and channel in carried(marks_of)
    }
    return [
        (loss.start_ns, _end(loss, seen.now_ns))
        for loss in seen.losses
        if loss.session in own and concerns(loss.mark, channel) and loss.mark.cause not in _OF_THE_BUS
    ]


def _holes(runs: Sequence[Run]) -> dict[str, list[Span]]:
    """Between records that do not follow each other: what lay there is not committed, and may have held marks."""
    found: dict[str, list[Span]] = {}
    for one, other in pairwise(runs):
        if one.session == other.session:
            found.setdefault(one.session, []).append((one.last_ns, other.first_ns))
    return found


def _lost(seen: Evidence, left: Sequence[Span], channel: str) -> Iterator[Tile]:
    """What was not captured and lies in a loss; where several go on, an unplanned one counts, then the earliest."""
    ranked = sorted(
        (loss for loss in seen.losses if concerns(loss.mark, channel) and loss.mark.cause not in _OF_THE_BUS),
        key=lambda loss: (loss.mark.planned, loss.start_ns, loss.session, loss.number),
    )
    open_ = list(left)
    for loss in ranked:
        span = loss.start_ns, _end(loss, seen.now_ns)
        told = list(within(open_, *span)) if span[0] < span[1] else []
        yield from (Tile(Kind.GAP, *piece, loss) for piece in told)
        if told:
            open_ = without(open_, [span])


def _end(loss: Loss, now_ns: int) -> int:
    return max(now_ns, loss.start_ns) if loss.end_ns is None else loss.end_ns


def _before_the_first(seen: Evidence, channel: str) -> list[Span]:
    if seen.since_ns is None:
        return [(0, seen.now_ns)]
    is_known = any(run.first_ns <= seen.since_ns for run in seen.runs)
    if not is_known:  # earlier sessions are not in question: only what lies before the feed's first record
        return [(0, seen.since_ns)]
    moments = [start for start, _ in _captured(seen, channel)]
    moments += [loss.start_ns for loss in seen.losses if concerns(loss.mark, channel)]
    return [(0, min(moments, default=seen.now_ns))]


def _not_committed(seen: Evidence) -> list[Span]:
    last = _last(seen.runs)
    running = [session for session, own in seen.sessions.items() if not has_ended(own)]
    return merged((last[one], last[one] + SILENT_NS) for one in running if one in last)


def tiled(seen: Evidence, on: date) -> dict[str, list[Tile]]:
    """The day of every channel."""
    return {channel: tiles(seen, on, channel) for channel in CHANNELS}


def spans_of(found: Mapping[str, Iterable[Tile]], *kinds: Kind, planned: bool | None = None) -> list[Span]:
    """When at least one channel had such a tile; `planned` asks for gaps that were planned, or were not."""
    return merged(
        (tile.start_ns, tile.end_ns)
        for row in found.values()
        for tile in row
        if tile.kind in kinds and (planned is None or tile.loss is None or tile.loss.mark.planned == planned)
    )


def seconds(spans: Iterable[Span]) -> float:
    """Their length, for people."""
    return sum(end - start for start, end in spans) / 1e9


class MarketLoss(NamedTuple):
    """A time in which single markets, a share of those followed, were lost: 1 is all of them."""

    start_ns: int
    end_ns: int
    markets: int
    share: tuple[int, int]


def of_markets(seen: Evidence, on: date) -> list[MarketLoss]:
    """Unplanned losses of single markets, disjoint and in order, where no session recorded everything."""
    start, end = day_span(on, seen.now_ns)
    books = books_followed(seen)
    lost = [loss for loss in seen.losses if loss.mark.tickers and not loss.mark.planned]
    spans = [(max(one.start_ns, start), min(_end(one, seen.now_ns), end), one.mark.tickers) for one in lost]
    made_good = _others(seen)
    found = []
    for begin, stop, tickers in _disjoint(spans):
        share = min(tickers, books), books
        found += [MarketLoss(*span, tickers, share) for span in without([(begin, stop)], made_good)]
    return found


def _others(seen: Evidence) -> list[Span]:
    """When two sessions or more recorded everything: what one of them lost of a market, the other has."""
    edges: Counter[int] = Counter()
    for start, end in (span for spans in seen.whole.values() for span in spans):
        edges[start] += 1
        edges[end] -= 1
    return merged(span for span, level in _levels(edges) if level > 1)


def _levels(edges: Mapping[int, int]) -> Iterator[tuple[Span, int]]:
    level = 0
    for one, other in pairwise(sorted(edges)):
        level += edges[one]
        yield (one, other), level


def _disjoint(spans: Iterable[tuple[int, int, Collection[str]]]) -> Iterator[tuple[int, int, int]]:
    """(start, end, how many markets) between every two edges."""
    begins: dict[int, Counter[str]] = {}
    for start, end, tickers in spans:
        if start < end:
            begins.setdefault(start, Counter()).update(tickers)
            begins.setdefault(end, Counter()).subtract(tickers)
    lost: Counter[str] = Counter()
    number = 0
    for one, other in pairwise(sorted(begins)):
        for ticker, change in begins[one].items():
            before, lost[ticker] = lost[ticker], lost[ticker] + change
            number += (lost[ticker] > 0) - (before > 0)
        if number:
            yield one, other, number


def books_followed(seen: Evidence) -> int:
    """The most books that a session's lines were ready with, at least 1: what the share of a lost one is of."""
    return max([_books_of(own) for own in seen.sessions.values()] + [1])


def _books_of(own: Iterable[SessionMark]) -> int:
    """Of each line the most that one of its connections had."""
    line_of: dict[int, int] = {}
    most: Counter[int] = Counter()
    for at in own:
        if isinstance(at.mark, marks.ConnectionOpen):
            line_of[at.mark.connection] = at.mark.line
        if isinstance(at.mark, marks.ConnectionReady):
            line = line_of.get(at.mark.connection, 0)
            most[line] = max(most[line], at.mark.tickers)
    return most.total()


def missed(seen: Evidence, on: date) -> list[Loss]:
    """The losses by which something of this day is missing, the made good ones left out."""
    start, end = day_span(on, seen.now_ns)
    return [
        one
        for one in seen.losses
        if one.start_ns < end
        and (one.start_ns >= start or _end(one, seen.now_ns) > start)
        and one.mark.cause not in _OF_THE_BUS
        and not _is_made_good(seen, one)
    ]


def _is_made_good(seen: Evidence, loss: Loss) -> bool:
    """Whether one other session recorded all the while."""
    end = _end(loss, seen.now_ns)
    return any(
        start <= loss.start_ns and end <= stop
        for session, spans in seen.whole.items()
        if session != loss.session
        for start, stop in spans
    )

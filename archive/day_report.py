"""What can be said of one day of one feed: its tiles, its losses and what each cost, its score. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from archive.coverage import (
    Evidence,
    Kind,
    Tile,
    books_followed,
    day_span,
    missed,
    of_markets,
    spans_of,
    tiled,
)
from archive.gaps import Loss
from archive.session_marks import FOR_EVER_NS
from registry.calendar import DAY_NS, Span, Window, merged, midnight_ns, within, without
from registry.quality import DayFacts, Score, score

_NOT_CAPTURED = [kind for kind in Kind if kind != Kind.CAPTURED]


@dataclass(frozen=True, slots=True)
class Sealed:
    """The latest sealed version of a day; `is_partial`: it was made before the day was over."""

    version: int
    is_partial: bool
    is_verified: bool
    result: str = ""
    nats_lost: int | None = None
    overlap: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a day beside its sessions."""

    errors: int = 0
    records: int = 0
    integrity: int = 0  # failures that are recorded as issues
    sealed: Sealed | None = None


@dataclass(frozen=True, slots=True)
class LossOfDay:
    """A loss as far as it lies on the day; `cost` is its part of the score, 0 for a planned one."""

    loss: Loss
    start_ns: int
    end_ns: int | None
    cost: Fraction


@dataclass(frozen=True, slots=True)
class DayReport:
    """A day, judged."""

    on: date
    span: Span
    tiles: Mapping[str, Sequence[Tile]]
    trading_ns: int
    losses: tuple[LossOfDay, ...]
    unexplained: tuple[Span, ...]
    score: Score
    facts: DayFacts


def report(seen: Evidence, on: date, told: Told, *, closed: Iterable[Window] = ()) -> DayReport:
    """Judge a day by all that is known of it; `closed` is when no trading was expected."""
    span = day_span(on, seen.now_ns)
    found = tiled(seen, on)
    trading = without([span], merged((start, end) for start, end, _ in closed))
    traded = sum(end - start for start, end in trading)
    whole = _in(spans_of(found, Kind.GAP, Kind.UNEXPLAINED, planned=False), trading)
    unplanned = Fraction(_length(whole)) + _of_markets(seen, on, without(trading, whole))
    losses = tuple(_losses(seen, on, found, trading))
    unexplained = tuple(spans_of(found, Kind.UNEXPLAINED))
    sealed = told.sealed
    is_refuted = sealed is not None and not sealed.is_verified and bool(sealed.result)
    facts = DayFacts(
        is_over=span[1] - midnight_ns(on) == DAY_NS,
        is_sealed=sealed is not None and not sealed.is_partial,
        is_verified=sealed is not None and sealed.is_verified,
        integrity=len(unexplained) + told.integrity + is_refuted,
        unplanned=sum(_counts(one, trading) for one in losses),
        not_recorded_ns=_length(spans_of(found, Kind.NOT_STARTED)),
        pending_ns=_length(spans_of(found, Kind.PENDING)),
        trading_ns=traded,
        captured_ns=traded - _length(_in(spans_of(found, *_NOT_CAPTURED), trading)),
    )
    judged = score(unplanned=unplanned, trading_ns=traded, errors=told.errors, frames=told.records)
    return DayReport(on, span, found, traded, losses, unexplained, judged, facts)


def _length(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _in(spans: Iterable[Span], trading: Iterable[Span]) -> list[Span]:
    cut = list(spans)
    return [piece for span in trading for piece in within(cut, *span)]


def _of_markets(seen: Evidence, on: date, trading: list[Span]) -> Fraction:
    """The time in which single markets were lost, by their share."""
    lost = of_markets(seen, on)
    pieces = ((one, _in([(one.start_ns, one.end_ns)], trading)) for one in lost)
    return sum((Fraction(*one.share) * _length(spans) for one, spans in pieces), Fraction(0))


def _losses(
    seen: Evidence, on: date, found: Mapping[str, Sequence[Tile]], trading: list[Span]
) -> Iterable[LossOfDay]:
    start, end = day_span(on, seen.now_ns)
    by_loss: dict[tuple[str, int], list[Span]] = {}
    for tile in (tile for row in found.values() for tile in row if tile.loss):
        assert tile.loss
        by_loss.setdefault((tile.loss.session, tile.loss.number), []).append((tile.start_ns, tile.end_ns))
    traded = _length(trading)
    for loss in missed(seen, on):
        goes_on = loss.end_ns is None
        until = end if loss.end_ns is None else min(loss.end_ns, end)
        spans = by_loss.get((loss.session, loss.number), [])
        cost = Fraction(0) if loss.mark.planned or not traded else _cost(seen, loss, spans, trading) / traded
        yield LossOfDay(loss, max(loss.start_ns, start), None if goes_on else until, cost)


def _cost(seen: Evidence, loss: Loss, spans: list[Span], trading: list[Span]) -> Fraction:
    if not loss.mark.tickers:
        return Fraction(_length(_in(merged(spans), trading)))
    books = books_followed(seen)
    end = seen.now_ns if loss.end_ns is None else loss.end_ns
    lasted = _length(_in([(loss.start_ns, end)], trading))
    return Fraction(min(len(loss.mark.tickers), books), books) * lasted


def _counts(one: LossOfDay, trading: Iterable[Span]) -> bool:
    """Whether it keeps the day from being complete: unplanned, and in trading, be it for an instant."""
    if one.loss.mark.planned:
        return False
    until = max(one.start_ns + 1, FOR_EVER_NS if one.end_ns is None else one.end_ns)
    return any(max(one.start_ns, start) < min(until, end) for start, end in trading)

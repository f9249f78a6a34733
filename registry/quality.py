"""How good a recorded day is: its score, its status and its condition, by the formulas of docs/quality.md. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor

NS = 1_000_000_000
_FRAMES = 10_000
_ERRORS_COST = Fraction(1, 100)
# A day with less of its trading time captured is not complete, planned or not: more than a daily restart takes.
LEAST_CAPTURED = Fraction(98, 100)

# How bad each kind of defect is; what is not known here is a warning.
SEVERITIES: Mapping[str, str] = {
    "duplicate": "info",
    "out_of_order": "warning",
    "missing_field": "error",
    "parse_error": "error",
    "crossed_book": "warning",
    "negative_size": "error",
    "off_grid_price": "error",
    "time_skew": "warning",
    "wire_drift": "warning",
    "book_drift": "error",
    "clock_step": "warning",
    "quarantined": "error",
    "integrity": "error",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One part of the score: what it takes away, and in words what it follows from."""

    name: str
    cost: Fraction
    because: str


@dataclass(frozen=True, slots=True)
class Score:
    """1 less its terms, not below 0, rounded down to two digits."""

    terms: tuple[Term, ...]

    @property
    def value(self) -> Decimal:
        """The figure that stands in `data_inventory.quality_score`."""
        exact = max(Fraction(0), 1 - sum((term.cost for term in self.terms), Fraction(0)))
        return Decimal(floor(exact * 100)) / 100


def score(*, unplanned: Fraction, trading_ns: int, errors: int, frames: int) -> Score:
    """The score of a day; `unplanned` is the ns lost in trading, of single markets by their share."""
    return Score((gap_term(unplanned, trading_ns), error_term(errors, frames)))


def gap_term(unplanned: Fraction, trading_ns: int) -> Term:
    """The unplanned part of the trading time; a day without trading loses nothing."""
    cost = Fraction(unplanned) / trading_ns if trading_ns else Fraction(0)
    because = f"{float(unplanned / NS):.3f} s of unplanned gaps in {trading_ns // NS:,} s of trading"
    return Term("unplanned_gap_in_trading", min(Fraction(1), cost), because)


def error_term(errors: int, frames: int) -> Term:
    """At most 0.01, from one error in 10,000 records on."""
    rate = Fraction(errors * _FRAMES, frames) if frames else Fraction(1 if errors else 0)
    because = f"{errors:,} errors in {frames:,} records: {float(rate):.2f} in 10,000"
    return Term("errors", _ERRORS_COST * min(Fraction(1), rate), because)


def share_of(exact: Fraction) -> Decimal:
    """A share as `data_inventory.captured_share` holds it, rounded down: less than all is never shown as all."""
    return Decimal(floor(exact * 10_000)) / 10_000


class Condition(StrEnum):
    """Whether a day can be used, in one word."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    PENDING = "pending"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DayFacts:
    """What a day's status follows from."""

    is_over: bool
    is_sealed: bool = False  # its latest sealed version was made after the day was over
    is_verified: bool = False
    integrity: int = 0  # holes that nothing explains, failed verifications, damaged manifests
    unplanned: int = 0  # unplanned losses in trading, also of single markets
    not_recorded_ns: int = 0  # before the feed was recorded for the first time
    pending_ns: int = 0  # recorded and not committed yet
    trading_ns: int = 0
    captured_ns: int = 0  # of the trading time: every channel was captured

    @property
    def captured(self) -> Fraction:
        """The share of the trading time in which every channel was captured; all of it where there is no trading."""
        return Fraction(self.captured_ns, self.trading_ns) if self.trading_ns else Fraction(1)

    @property
    def is_thin(self) -> bool:
        """Whether too little of the trading time was captured for a complete day, whatever the reason."""
        return self.captured < LEAST_CAPTURED

    @property
    def captured_percent(self) -> str:
        """The share in words, rounded down."""
        return f"{floor(self.captured * 10_000) / 100:.2f} %"


def status(day: DayFacts) -> str:
    """`data_inventory.status`."""
    if day.integrity:
        return "failed"
    if not day.is_over:
        return "processing"
    lacks = day.unplanned or day.not_recorded_ns or day.pending_ns or day.is_thin
    return "partial" if lacks or not (day.is_sealed and day.is_verified) else "complete"


def condition(day: DayFacts | None) -> Condition:
    """One word for whoever wants to use the day; None is a day of which nothing is recorded."""
    if day is None:
        return Condition.MISSING
    if day.integrity or day.unplanned or (day.is_over and (day.not_recorded_ns or day.is_thin)):
        return Condition.DEGRADED
    return Condition.AVAILABLE if status(day) == "complete" else Condition.PENDING


def lacking(day: DayFacts, *, seal: str, verify: str) -> list[str]:
    """What a day that is not complete lacks, in words; `seal` and `verify` are the commands that would help."""
    found = [
        (day.integrity, "the archive contradicts itself: see the integrity failures"),
        (not day.is_over, "the day is not over"),
        (day.is_over and day.is_thin, f"only {day.captured_percent} of its trading time was captured"),
        (day.unplanned, "it has unplanned gaps"),
        (day.not_recorded_ns, f"nothing was recorded in its first {day.not_recorded_ns / NS:,.0f} s"),
        (day.pending_ns, f"the last {day.pending_ns / NS:,.0f} s are not committed yet"),
        (day.is_over and not day.is_sealed, f"it is not sealed: run `{seal}`"),
        (day.is_sealed and not day.is_verified, f"it is not verified: run `{verify}`"),
    ]
    return [words for is_lacking, words in found if is_lacking]

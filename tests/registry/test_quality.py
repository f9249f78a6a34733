from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.models import DataQualityIssue
from registry.quality import NS, SEVERITIES, Condition, DayFacts, condition, lacking, score, share_of, status

DAY = 86_400 * NS
COMPLETE = DayFacts(is_over=True, is_sealed=True, is_verified=True)


def value(
    lost_seconds: float = 0, *, errors: int = 0, records: int = 10_000, trading_ns: int = DAY
) -> Decimal:
    return score(
        unplanned=Fraction(lost_seconds) * NS, trading_ns=trading_ns, errors=errors, frames=records
    ).value


def test_a_day_without_loss_and_error_scores_one() -> None:
    assert value() == Decimal("1.00")


def test_the_score_is_rounded_down() -> None:
    assert value(1) == Decimal("0.99")
    assert value(864) == Decimal("0.99")
    assert value(865) == Decimal("0.98")


def test_errors_cost_at_most_a_hundredth() -> None:
    assert [value(errors=errors) for errors in (0, 1, 10_000)] == [
        Decimal("1.00"),
        Decimal("0.99"),
        Decimal("0.99"),
    ]


def test_a_day_lost_whole_scores_nothing() -> None:
    assert value(86_400, errors=5) == 0


def test_a_day_without_trading_loses_nothing() -> None:
    assert value(0, trading_ns=0) == 1


@given(st.fractions(0, DAY), st.integers(0, DAY), st.integers(0, 10**6), st.integers(0, 10**9))
def test_the_score_fits_its_column_whatever_happened(
    lost: Fraction, trading: int, errors: int, records: int
) -> None:
    found = score(unplanned=lost, trading_ns=trading, errors=errors, frames=records).value

    assert 0 <= found <= 1
    assert found == round(found, 2)


@pytest.mark.parametrize(
    ("facts", "expected", "usable"),
    [
        (COMPLETE, "complete", Condition.AVAILABLE),
        (DayFacts(is_over=False), "processing", Condition.PENDING),
        (DayFacts(is_over=False, unplanned=1), "processing", Condition.DEGRADED),
        (DayFacts(is_over=False, integrity=1), "failed", Condition.DEGRADED),
        (DayFacts(is_over=True), "partial", Condition.PENDING),
        (DayFacts(is_over=True, is_sealed=True), "partial", Condition.PENDING),
        (
            DayFacts(is_over=True, is_sealed=True, is_verified=True, unplanned=1),
            "partial",
            Condition.DEGRADED,
        ),
        (
            DayFacts(is_over=True, is_sealed=True, is_verified=True, not_recorded_ns=1),
            "partial",
            Condition.DEGRADED,
        ),
        (
            DayFacts(is_over=True, is_sealed=True, is_verified=True, pending_ns=1),
            "partial",
            Condition.PENDING,
        ),
        (DayFacts(is_over=True, is_sealed=True, is_verified=True, integrity=1), "failed", Condition.DEGRADED),
        (replace(COMPLETE, trading_ns=DAY, captured_ns=DAY * 98 // 100), "complete", Condition.AVAILABLE),
        (replace(COMPLETE, trading_ns=DAY, captured_ns=DAY * 98 // 100 - 1), "partial", Condition.DEGRADED),
        (DayFacts(is_over=False, trading_ns=DAY, captured_ns=1), "processing", Condition.PENDING),
    ],
)
def test_status_and_condition_of_a_day(facts: DayFacts, expected: str, usable: Condition) -> None:
    assert (status(facts), condition(facts)) == (expected, usable)


def test_how_little_was_captured_of_a_day_is_said_and_rounded_down() -> None:
    thin = replace(COMPLETE, trading_ns=DAY, captured_ns=DAY // 185)

    assert lacking(thin, seal="s", verify="v") == ["only 0.54 % of its trading time was captured"]
    assert share_of(Fraction(99_999, 100_000)) == Decimal("0.9999")


def test_a_day_of_which_nothing_is_recorded_is_missing() -> None:
    assert condition(None) == Condition.MISSING


def test_only_a_complete_day_lacks_nothing() -> None:
    assert lacking(COMPLETE, seal="s", verify="v") == []
    assert lacking(DayFacts(is_over=True), seal="ssmd data seal", verify="v") == [
        "it is not sealed: run `ssmd data seal`"
    ]


def test_every_kind_of_issue_has_its_severity() -> None:
    assert SEVERITIES.keys() == set(DataQualityIssue.Type.values)
    assert set(SEVERITIES.values()) == set(DataQualityIssue.Severity.values)

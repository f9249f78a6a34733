"""The one way to claim that a fault is handled: gap row, metric and oracle, and all of it falls when the handling is off.

A scenario is a function that lives through the fault once and reports what came of it. It is called twice: with the
handling in place, where every claim must hold, and with the handling switched off, where at least one must fail.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from prometheus_client import REGISTRY


def fault(*ids: str) -> pytest.MarkDecorator:
    """This test shows that these faults of the catalogue are handled."""
    return pytest.mark.fault(ids=ids)


@dataclass(frozen=True)
class Outcome:
    """What came of it: types of the gap rows, how far each metric rose, what the oracle found wrong."""

    gaps: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    also: tuple[str, ...] = ()  # whatever else the test found wrong: an exit code, a message


def prove(
    scenario: Callable[[bool], Outcome],
    *,
    gaps: tuple[str, ...],
    metric: str,
    at_least: float = 1,
) -> Outcome:
    """Assert that the handled fault leaves exactly these gap rows, raises this metric and no doubt; and fails unhandled.

    `scenario(is_handled)`; `metric` is written with its labels, as /metrics shows it.
    """
    handled = scenario(True)
    wrong = _wrong(handled, gaps=gaps, metric=metric, at_least=at_least)
    assert not wrong, wrong
    try:
        unhandled = _wrong(scenario(False), gaps=gaps, metric=metric, at_least=at_least)
    except Exception as error:
        unhandled = [f"{type(error).__name__}: {error}"]
    assert unhandled, "the claims hold without the handling: this test proves nothing"
    return handled


def _wrong(outcome: Outcome, *, gaps: tuple[str, ...], metric: str, at_least: float) -> list[str]:
    wrong = [*outcome.faults, *outcome.also]
    if sorted(outcome.gaps) != sorted(gaps):
        wrong.append(f"gap rows {sorted(outcome.gaps)} instead of {sorted(gaps)}")
    if outcome.metrics.get(metric, 0) < at_least:
        wrong.append(f"{metric} rose by {outcome.metrics.get(metric, 0)}, not by {at_least}")
    return wrong


def samples() -> dict[str, float]:
    """All metrics of this process, as `name{label="value"}`."""
    found = {}
    for family in REGISTRY.collect():
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class Risen(dict[str, float]):
    """How far each metric of this process rose."""


@contextmanager
def watched() -> Iterator[Risen]:
    """`with watched() as risen:` - filled at the end of the block."""
    before, risen = samples(), Risen()
    yield risen
    risen.update({key: value - before.get(key, 0) for key, value in samples().items()})

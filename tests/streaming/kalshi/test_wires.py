from datetime import UTC, datetime

import pytest

from streaming.kalshi.wires import BOTH, CENTS, FIXED_POINT, WIRES, wire_at, wire_named


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "wire"),
    [
        ("1970-01-01", CENTS),
        ("2025-10-01", CENTS),
        ("2026-01-21T23:59:59", CENTS),
        ("2026-01-22", BOTH),
        ("2026-03-11T23:59:59", BOTH),
        ("2026-03-12", FIXED_POINT),
        ("2031-01-01", FIXED_POINT),
    ],
)
def test_each_day_has_its_wire(moment: str, wire: object) -> None:
    assert wire_at(at(moment))[0] is wire


def test_a_wire_lasts_until_the_next_begins() -> None:
    assert wire_at(BOTH.from_ns)[1] == FIXED_POINT.from_ns
    assert wire_at(FIXED_POINT.from_ns)[1] > at("2200-01-01")


def test_a_mapper_is_found_by_its_id() -> None:
    assert [wire_named(wire.mapper) for wire in WIRES] == list(WIRES)


def test_an_unknown_mapper_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="'kalshi-v3'; there are kalshi-cents, kalshi-both, kalshi-fp"):
        wire_named("kalshi-v3")

"""Rows as text: aligned, JSON, NDJSON, CSV."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ssmd.cli.table import render, render_one, size

ROWS = [
    {"day": date(2025, 12, 1), "at": datetime(2025, 12, 1, 10, tzinfo=UTC), "n": Decimal("0.99"), "no": None}
]


def test_columns_are_aligned_and_nothing_is_a_dash() -> None:
    assert render(ROWS, ("day", "n", "no")) == "day         n     no\n2025-12-01  0.99  -\n"


def test_json_has_one_document_with_exact_values() -> None:
    expected = {"data": [{"day": "2025-12-01", "at": "2025-12-01T10:00:00Z", "n": 0.99, "no": None}]}

    assert json.loads(render(ROWS, ("day",), as_="json")) == expected


def test_ndjson_has_a_document_a_line() -> None:
    assert [json.loads(line)["n"] for line in render(ROWS * 2, (), as_="ndjson").splitlines()] == [0.99, 0.99]


def test_csv_keeps_formulas_from_running() -> None:
    assert render([{"title": "=1+1"}], ("title",), as_="csv") == "title\n'=1+1\n"


def test_csv_without_rows_still_has_its_heads() -> None:
    assert render([], ("a", "b"), as_="csv") == "a,b\n"


def test_control_characters_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in render([{"title": "a\x1b[31mb"}], ("title",))


def test_one_object_is_shown_by_lines() -> None:
    assert render_one({"a_b": True, "c": ["x", "y"], "gone": None}) == "a b  yes\nc    x, y\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0B"), (999, "999B"), (1000, "1.0KB"), (523_400_000, "523MB"), (999_600, "1.0MB")],
)
def test_sizes_are_read_by_people(count: int | None, text: str) -> None:
    assert size(count) == text

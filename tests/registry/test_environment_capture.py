from pathlib import Path

import pytest

from registry.environment_file import GIB, parse_environment
from registry.refusal import Refused

DEMO = (Path(__file__).parents[2] / "environments" / "demo.yaml").read_text()


def with_capture(text: str) -> str:
    return DEMO.replace("\nspec:\n", f"\nspec:\n  capture:\n    {text}\n", 1)


def test_capture_logs_may_take_20_gib_where_nothing_is_said() -> None:
    assert parse_environment(DEMO).capture.max_bytes == 20 * GIB


def test_what_capture_logs_may_take_is_said_in_bytes() -> None:
    assert parse_environment(with_capture("max_bytes: 1073741824")).capture.max_bytes == GIB


@pytest.mark.parametrize("text", ["max_bytes: 1024", "max_bytes: 20GiB", "most_bytes: 1073741824"])
def test_a_cap_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="bytes"):
        parse_environment(with_capture(text))

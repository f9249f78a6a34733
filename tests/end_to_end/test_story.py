"""docs/story.md is true: its commands do what it says, while `ssmd up` runs."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.system import System
from tests.running import until

pytestmark = [pytest.mark.soak(minutes=1), pytest.mark.timeout(200)]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def one(tmp_path: Path) -> Iterator[System]:
    system = System(tmp_path / "home")
    system.home.mkdir()
    yield system
    system.stop_gently("up")


def commands() -> list[list[str]]:
    """The words behind `ssmd` of each command that the story shows."""
    told = (ROOT / "docs" / "story.md").read_text()
    return [shlex.split(line) for line in re.findall(r"^\$ \.venv/bin/ssmd (.*)$", told, re.MULTILINE)]


def test_a_cut_network_is_a_gap_that_says_what_was_lost(one: System) -> None:
    one.start_up()
    for words in commands():
        where = ["--port", str(one.exchange_port)] if words[0] == "exchange" else []
        done = one.ssmd(*words, *where)
        assert done.returncode in (0, 7), done.stderr
        if "half_open" in words[-1]:
            until(lambda: _gaps(one) != [], seconds=90, what="the loss is a row")

    [lost] = [gap for gap in _gaps(one) if gap["gap_type"] == "connection_lost"]
    assert "nothing was heard for 6 s" in lost["detail"]["reason"]
    assert lost["detail"]["channel"] in ("lifecycle,ticker,trade", "orderbook")


def _gaps(one: System) -> list[dict[str, Any]]:
    shown = one.ssmd("data", "gaps", "--feed", "kalshi-sim", "--json")
    return list(json.loads(shown.stdout)["data"])

import io
from pathlib import Path

import pytest

from ssmd.runtime.talk import Talk, amount, last_lines


def test_a_closed_terminal_keeps_nothing_from_going_on() -> None:
    terminal = io.StringIO()
    terminal.close()
    Talk(terminal).say("stopped")


def test_every_line_says_how_long_it_took() -> None:
    out = io.StringIO()
    times = iter([100.0, 102.5])
    Talk(out, clock=lambda: next(times)).say("ready")
    assert out.getvalue() == "[   2.5 s] ready\n"


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (10**13, "10000.0 GB")]
)
def test_bytes_are_told_for_people(size: int, text: str) -> None:
    assert amount(size) == text


def test_the_end_of_a_log_is_shown_or_that_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert "No such file" in last_lines(log)
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    assert last_lines(log, lines=2) == "line 9998\nline 9999"

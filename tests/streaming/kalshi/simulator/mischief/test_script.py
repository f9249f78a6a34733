"""A fault script is read whole, or refused with all that is wrong."""

import pytest

from registry.refusal import Refused
from streaming.kalshi.simulator.mischief.catalogue import CATALOGUE
from streaming.kalshi.simulator.mischief.fault import REQUIRED, Kind, Level
from streaming.kalshi.simulator.mischief.script import parse_fault, parse_script
from streaming.kalshi.simulator.mischief.stages import STAGES
from tests.streaming.kalshi.simulator.mischief.fault_table import PAGE, split, table

COVERED = {f"A{number}" for number in range(1, 47)}
# What the exchange does by itself, without a fault: numbered answers, and a burst while a client stops.
BY_ITSELF = {"A42"}
SCRIPT = """
- {do: skip_seq, count: 3, channel: trade, after: 2.5}
- do: silence
  for: 10
  connection: 2
- {do: half_open, connection: next}
- {do: cut_frame, bytes: 17, at_frame: 1000, tickers: [KXA-1]}
"""


def test_a_script_is_a_list_of_entries() -> None:
    skip, silence, half_open, cut = parse_script(SCRIPT)

    assert (skip.kind.name, skip.count, skip.channel, skip.after_s) == ("skip_seq", 3, "trade", 2.5)
    assert (silence.for_s, silence.count, silence.connection) == (10, None, 2)
    assert half_open.connection == "next"
    assert (cut.at_frame, cut.given["bytes"], cut.tickers) == (1000, 17, frozenset(["KXA-1"]))


def test_json_is_a_script_too() -> None:
    [fault] = parse_script('{"faults": [{"do": "close", "code": 1012, "reason": "restart"}]}')

    assert fault.given == {"code": 1012, "reason": "restart", "open_for": 0}


def test_all_that_is_wrong_is_said_at_once_with_what_would_be_right() -> None:
    script = """
    - {do: skip_sek}
    - {do: close, code: 70000, reasn: x}
    - {do: set_field}
    - 7
    - {do: half_open, channel: trade}
    - {do: swap, after: 1, at_frame: 2}
    - {do: late_burst}
    - {count: 1}
    """
    with pytest.raises(Refused) as refused:
        parse_script(script)

    told = str(refused.value)
    for expected in (
        "Did you mean 'skip_seq'?",
        "code 70000 is not accepted",
        "no such parameter 'reasn'",
        "Did you mean 'reason'?",
        "fault 3 (set_field): 'field' is missing",
        "fault 3 (set_field): 'value' is missing",
        "fault 4: 7 is no entry",
        "channel mean nothing here",
        "either `after` or `at_frame`",
        "fault 7 (late_burst): 'for' is missing",
        "fault 8: `do` is missing",
    ):
        assert expected in told


@pytest.mark.parametrize("text", ["{}", "skip_seq", "- {do: skip_seq", "faults: 3"])
def test_a_script_that_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse_script(text)


@pytest.mark.parametrize("kind", CATALOGUE.values(), ids=lambda kind: kind.name)
def test_every_fault_can_be_ordered_with_as_little_as_it_needs(kind: Kind) -> None:
    needed = {"field": "ts_ms", "value": 1, "seconds": 1, "key_id": "k", "public_key": "p", "for": 1}
    given = {one.name: needed[one.name] for one in kind.parameters if one.default is REQUIRED}

    fault = parse_fault({"do": kind.name, "for": 1, **given})

    assert fault.kind is kind


def test_every_fault_of_frames_has_its_stage() -> None:
    assert {name for name, kind in CATALOGUE.items() if kind.level is Level.FRAME} == set(STAGES)


def test_every_row_of_the_catalogue_about_the_exchange_can_be_provoked() -> None:
    provoked = {code for kind in CATALOGUE.values() for code in kind.codes}

    assert COVERED - provoked == BY_ITSELF


def test_the_documented_faults_are_those_that_there_are() -> None:
    assert split(PAGE.read_text())[1] == table()

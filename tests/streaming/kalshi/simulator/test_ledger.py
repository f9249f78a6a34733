"""The ledger outlives restarts, torn lines included."""

import json
from pathlib import Path

import pytest

from registry.refusal import Refused
from streaming.kalshi.simulator.ledger import Ledger


def test_each_frame_is_one_line_as_it_was_sent(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")

    ledger.record(3, [b'{"type":"ok"}\n', '{"name":"é"}\n'.encode()], at_ns=17)
    ledger.record_binary(3, b"\x00\xff", at_ns=18)

    lines = [json.loads(line) for line in (tmp_path / "ledger.jsonl").read_text().splitlines()]
    assert lines == [
        {"conn": 3, "t_ns": 17, "frame": '{"type":"ok"}\n'},
        {"conn": 3, "t_ns": 17, "frame": '{"name":"é"}\n'},
        {"conn": 3, "t_ns": 18, "frame_b64": "AP8="},
    ]


def test_a_torn_last_line_is_cut_and_connection_numbers_go_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    whole = '{"conn":7,"t_ns":1,"frame":"a"}\n{"conn":5,"t_ns":2,"frame":"b"}\n'
    path.write_text(whole + '{"conn":8,"t_ns":3,"fra')

    ledger = Ledger(path)

    assert ledger.last_connection == 7
    assert path.read_text() == whole


def test_a_ledger_that_cannot_be_written_is_refused_with_permission(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written") as refused:
        Ledger(tmp_path / "missing" / "ledger.jsonl")

    assert refused.value.exit_code == 9

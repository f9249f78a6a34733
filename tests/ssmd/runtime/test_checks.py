import gzip
import socket
from pathlib import Path

import pytest

from ssmd.runtime import checks

LINE = b'{"recv_ms":1,"event":{"type":"trade"}}\n'


def test_a_busy_port_is_named_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        [reason] = checks.ports_free([("the web server", "--web-port", port)])

    assert str(port) in reason.problem
    assert "--web-port" in reason.remedy


def test_two_programs_cannot_share_a_port() -> None:
    [reason] = checks.ports_free([("web", "--web-port", 59_999), ("exchange", "--exchange-port", 59_999)])
    assert "cannot both" in reason.problem


@pytest.mark.parametrize("name", ["one.jsonl", "one.ndjson.gz", "folder"])
def test_recordings_may_be_files_or_folders_zipped_or_not(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    file = path / "deep" / "x.jsonl.gz" if name == "folder" else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(LINE) if file.name.endswith(".gz") else LINE)
    assert checks.recordings_readable([path]) == []


@pytest.mark.parametrize(
    "content", [b"", b"not json\n", b"[]\n", b'{"event":{}}\n', b"\x1f\x8b broken", b"\xff\xfe\n"]
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)
    [reason] = checks.recordings_readable([path])
    assert str(path) in reason.problem


def test_a_recording_that_is_not_there_and_an_empty_folder_are_both_named(tmp_path: Path) -> None:
    reasons = checks.recordings_readable([tmp_path / "nothing", tmp_path])
    assert ["does not exist" in reasons[0].problem, "holds no recording" in reasons[1].problem] == [
        True,
        True,
    ]


def test_a_ledger_needs_a_folder_and_may_be_there_already(tmp_path: Path) -> None:
    there = tmp_path / "ledger.jsonl"
    there.touch()
    assert checks.ledger_possible(there) == []
    assert checks.ledger_possible(tmp_path / "new.jsonl") == []
    assert checks.ledger_possible(tmp_path)
    assert checks.ledger_possible(tmp_path / "no" / "x.jsonl")

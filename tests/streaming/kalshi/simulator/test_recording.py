"""What can be read as a recording, and how the rest is refused."""

from pathlib import Path

import pytest

from registry.refusal import Refused
from streaming.kalshi.simulator import recording


@pytest.mark.parametrize(
    "text", ["hello\n", '{"recv_ms":1,"event":', '{"recv_ms":1,"event":{"type":"ok","id":1}}\n']
)
def test_what_is_no_recording_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.jsonl").write_text(text)

    with pytest.raises(Refused) as refused:
        recording.survey(recording.find([tmp_path]))

    assert refused.value.exit_code == 3


def test_a_torn_gzip_is_refused(small: Path) -> None:
    small.write_bytes(small.read_bytes()[:-20])

    with pytest.raises(Refused, match="cannot be read"):
        recording.survey([small])


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_path_without_recordings_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(Refused, match=name):
        recording.find([tmp_path / name])

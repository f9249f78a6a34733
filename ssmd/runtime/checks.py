"""What `ssmd up` checks before it starts anything: each check returns what is wrong and never acts."""

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path

from registry.refusal import Reason
from ssmd.runtime.embedded import port_is_free

RECORDINGS = ("*.jsonl", "*.ndjson", "*.jsonl.gz", "*.ndjson.gz")
_FORM = 'A recording is a file, or a folder of files, of lines {"recv_ms":...,"event":{...}}, gzip or not.'


def ports_free(ports: Iterable[tuple[str, str, int]]) -> list[Reason]:
    """Whether each (what for, option, port) can be listened on."""
    reasons: list[Reason] = []
    taken: dict[int, str] = {}
    for purpose, option, port in ports:
        if port in taken:
            reasons.append(
                Reason(f"{taken[port]} and {purpose} cannot both have port {port}", f"Change {option}.")
            )
        elif not port_is_free(port):
            reasons.append(_busy(purpose, option, port))
        taken[port] = purpose
    return reasons


def _busy(purpose: str, option: str, port: int) -> Reason:
    problem = f"Port {port} on 127.0.0.1, wanted for {purpose}, is taken by another program"
    return Reason(
        problem, f"Stop that program (`ss -ltnp 'sport = :{port}'` names it), or choose: {option} {port + 1}"
    )


def recordings_readable(paths: Iterable[Path]) -> list[Reason]:
    """Whether each path holds at least one recording, and its first line is one of a recording."""
    return [reason for path in paths for reason in _recording_readable(path)]


def _recording_readable(path: Path) -> list[Reason]:
    if not path.exists():
        near = next((parent for parent in path.parents if parent.exists()), Path("/"))
        return [Reason(f"--replay {path} does not exist", f"{near} does. {_FORM}")]
    file = path if path.is_file() else next(iter(recordings_in(path)), None)
    if file is None:
        return [Reason(f"--replay {path} holds no recording", f"{_FORM} Looked for {', '.join(RECORDINGS)}.")]
    try:
        first = json.loads(_first_line(file))
        is_recording = isinstance(first, dict) and {"recv_ms", "event"} <= first.keys()
    except (OSError, ValueError, EOFError) as error:
        return [Reason(f"--replay {file} cannot be read: {error}", _FORM)]
    return [] if is_recording else [Reason(f"--replay {file} is not a recording", _FORM)]


def ledger_possible(file: Path | None) -> list[Reason]:
    """Whether the ledger can be appended to."""
    if file is None:
        return []
    if file.is_dir():
        return [Reason(f"--ledger {file} is a folder", f"Name a file, e.g. --ledger {file / 'ledger.jsonl'}")]
    folder = file.absolute().parent
    if not folder.is_dir():
        return [Reason(f"--ledger {file}: there is no folder {folder}", f"Make it: mkdir -p '{folder}'")]
    if not os.access(file if file.exists() else folder, os.W_OK):
        return [
            Reason(f"--ledger {file} cannot be written to", "Name a file in a folder that you may write to.")
        ]
    return []


def recordings_in(folder: Path) -> list[Path]:
    """The recordings in `folder` and below."""
    return sorted(file for pattern in RECORDINGS for file in folder.rglob(pattern))


def _first_line(file: Path) -> bytes:
    with file.open("rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    with gzip.open(file, "rb") if zipped else file.open("rb") as lines:
        return lines.readline(1 << 20)

"""Recordings on disk: found, read, and merged by receive time.

A line is `{"recv_ms":..,"event":{frame}}` or the bare frame; files may be gzipped. Nothing is changed here:
values stay the bytes that were recorded.
"""

import gzip
import heapq
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from registry.refusal import Reason, Refused
from streaming.kalshi.simulator.frames import CHANNEL_OF, Broadcast

SUFFIXES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")
IDLE_MS = 5_000
# Ours to fill in for each client anew; `id` answered somebody else's command.
_OURS = ("type", "sid", "seq", "msg", "sending_ts_ms", "id")
_READ_ERRORS = (OSError, EOFError, ValueError, msgspec.DecodeError)


class _Line(msgspec.Struct):
    recv_ms: float | None = None
    event: dict[str, msgspec.Raw] | None = None


class _About(msgspec.Struct):
    market_ticker: str = ""
    ts_ms: int | None = None


@dataclass(slots=True)
class Recorded(Broadcast):
    """One recorded frame of a market-data channel."""

    recv_ms: int = 0


@dataclass(slots=True)
class Contents:
    """What a look through all recordings found."""

    files: list[Path]
    frames: int = 0
    first_ms: int = 0
    last_ms: int = 0
    # Where each market's last frame stands in the merged order, from 1.
    last_frame: dict[str, int] = field(default_factory=dict)
    market_ids: dict[str, str] = field(default_factory=dict)
    # (from, for how long): silence that a replay leaves out.
    cuts: list[tuple[int, int]] = field(default_factory=list)
    # event ticker -> the recorded body of GET /events/{ticker}
    events: dict[str, dict[str, Any]] = field(default_factory=dict)


class _MarketId(msgspec.Struct):
    market_id: str = ""


def find(paths: Iterable[Path]) -> list[Path]:
    """The recordings under these files and folders; refuses what is not there or cannot be read."""
    found: dict[Path, None] = {}
    reasons = []
    for path in paths:
        inside = _inside(path)
        found.update(dict.fromkeys(inside))
        if not inside:
            reasons.append(_nothing_at(path))
    if reasons:
        raise Refused(reasons)
    return list(found)


def survey(files: Sequence[Path]) -> Contents:
    """Read everything once: which markets, until when, and where nothing happens."""
    contents = Contents(list(files))
    latest = 0
    for frame in read(files):
        if not contents.frames:
            contents.first_ms = latest = frame.recv_ms
        contents.frames += 1
        if frame.recv_ms - latest > IDLE_MS:
            contents.cuts.append((latest, frame.recv_ms - latest - IDLE_MS))
        latest = max(latest, frame.recv_ms)
        _note(contents, frame)
    contents.last_ms = latest
    if not contents.frames:
        raise Refused([Reason("The recordings hold no market-data frame.", _EXPECTED)])
    contents.events = _metadata(contents)
    return contents


def read(files: Sequence[Path]) -> Iterator[Recorded]:
    """All frames of all files, merged by receive time."""
    streams = [_frames(file) for file in files]
    return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=attrgetter("recv_ms"))


def _note(contents: Contents, frame: Recorded) -> None:
    if not frame.ticker:
        return
    if frame.ticker not in contents.market_ids or not contents.market_ids[frame.ticker]:
        contents.market_ids[frame.ticker] = msgspec.json.decode(frame.msg, type=_MarketId).market_id
    contents.last_frame[frame.ticker] = contents.frames


_EXPECTED = (
    'Give files or folders of {"recv_ms":...,"event":{...}} lines, gzipped or not (.ndjson, .jsonl, .gz).'
)


def _inside(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.name.endswith(SUFFIXES) and file.is_file())
    return [path] if path.is_file() else []


def _nothing_at(path: Path) -> Reason:
    if path.is_dir():
        return Reason(f"The folder '{path}' holds no recording.", _EXPECTED)
    return Reason(f"There is no recording at '{path}'.", _EXPECTED)


def _frames(file: Path) -> Iterator[Recorded]:
    number, last_ms = 0, 0
    # In a file without receive times, frames before the first time count as received then.
    timeless: list[Recorded] = []
    try:
        with _opened(file) as lines:
            for number, line in enumerate(lines, 1):  # noqa: B007 - named in the refusal
                frame = None if line.isspace() else _frame(line, last_ms)
                if frame is None:
                    continue
                last_ms = frame.recv_ms
                if not last_ms:
                    timeless.append(frame)
                    continue
                if timeless:
                    yield from _dated(timeless, last_ms)
                    timeless.clear()
                yield frame
        yield from timeless
    except _READ_ERRORS as error:
        where = f"'{file}', line {number + 1 if isinstance(error, OSError | EOFError) else number}"
        raise Refused([Reason(f"The recording {where} cannot be read: {error}.", _EXPECTED)]) from error


def _dated(frames: list[Recorded], at_ms: int) -> Iterator[Recorded]:
    for frame in frames:
        frame.recv_ms = at_ms
        yield frame


def _opened(file: Path) -> BinaryIO:
    if file.suffix != ".gz":
        return file.open("rb")
    # gzip's own buffer is small: most of the time went into refilling it.
    return io.BufferedReader(gzip.open(file), 1 << 20)


def _frame(line: bytes, last_ms: int) -> Recorded | None:
    """One line; None for acknowledgements and other frames that belong to somebody else's commands."""
    parsed = _decode_line(line)
    keys = parsed.event or _decode_keys(line)
    kind = bytes(keys["type"])[1:-1] if "type" in keys else b""
    channel = CHANNEL_OF.get(kind.decode())
    if channel is None or "msg" not in keys:
        return None
    msg = bytes(keys["msg"])
    about = _decode_about(msg)
    recv_ms = parsed.recv_ms if parsed.recv_ms is not None else about.ts_ms
    extra = b"".join(
        [b',"%b":%b' % (name.encode(), bytes(raw)) for name, raw in keys.items() if name not in _OURS]
        if len(keys) > 4
        else []
    )
    received = int(last_ms if recv_ms is None else recv_ms)
    return Recorded(kind, channel, about.market_ticker, msg, extra, received)


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_keys = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_about = msgspec.json.Decoder(_About).decode


def _metadata(contents: Contents) -> dict[str, dict[str, Any]]:
    """`metadata/<event>.json` beside the recordings' folder, as gold15m has it."""
    folders = dict.fromkeys(
        parent / "metadata" for file in contents.files for parent in list(file.parents)[:4]
    )
    known = {}
    for event in dict.fromkeys(event_of(ticker) for ticker in contents.market_ids):
        path = next(
            (folder / f"{event}.json" for folder in folders if (folder / f"{event}.json").is_file()), None
        )
        if path is not None:
            known[event] = _response(path)
    return known


def _response(path: Path) -> dict[str, Any]:
    try:
        body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["response"]
        return {"event": body["event"], "markets": body["markets"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = Reason(
            f"The metadata file '{path}' cannot be read: {error!r}.",
            'It should hold {"response":{"event":{...},"markets":[...]}}; mend it or take it away.',
        )
        raise Refused([reason]) from error


def event_of(ticker: str) -> str:
    """The event a market's ticker names: all but its last part."""
    return ticker.rpartition("-")[0] or ticker

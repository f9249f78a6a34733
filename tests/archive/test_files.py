import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.files import Damaged, LineEncoder, compressor, decode_line, decompressed
from streaming.records import Kind, Record

SESSION = "kalshi-20251214T001000Z-3f9a1c"
RECV_NS = 1_765_713_600_123_456_789


def line_of(payload: bytes, kind: int = Kind.TEXT) -> bytes:
    return LineEncoder(SESSION).encode(Record(7, RECV_NS, 1, kind, payload)).data


def comes_back(payload: bytes, kind: int = Kind.TEXT) -> bool:
    """One line, valid JSON in valid UTF-8, and the very same record again."""
    line = line_of(payload, kind)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    json.loads(line.decode(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    found = decode_line(line)
    return (found.session, found.record) == (SESSION, Record(7, RECV_NS, 1, kind, payload))


def test_a_line_is_exactly_as_the_design_says() -> None:
    frame = b'{"type":"trade","sid":2,"seq":77,"msg":{"market_ticker":"A-1","yes_price":"0.4500"}}'

    assert line_of(frame + b"\n") == (
        b'{"ts":1765713600123,"type":"trade","s":"kalshi-20251214T001000Z-3f9a1c","n":7,"c":1,'
        b'"recv_ns":1765713600123456789,"sid":2,"seq":77,"nl":1,"data":' + frame + b"}\n"
    )


@pytest.mark.parametrize(
    ("venue_type", "raw_type"),
    [
        ("trade", "trade"),
        ("ticker", "ticker"),
        ("orderbook_snapshot", "orderbook"),
        ("orderbook_delta", "orderbook"),
        ("market_lifecycle_v2", "lifecycle"),
        ("event_lifecycle", "lifecycle"),
        ("event_fee_update", "lifecycle"),
        ("multivariate_market_lifecycle", "lifecycle"),
        ("subscribed", "control"),
        ("unsubscribed", "control"),
        ("ok", "control"),
        ("error", "control"),
        ("invented_tomorrow", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_raw_type_is_the_short_form(venue_type: str, raw_type: str) -> None:
    assert json.loads(line_of(json.dumps({"type": venue_type}).encode()))["type"] == raw_type


def test_the_market_of_a_frame_is_known() -> None:
    frame = b'{"type":"trade","msg":{"market_ticker":"A-1"}}'

    assert LineEncoder(SESSION).encode(Record(7, RECV_NS, 1, Kind.TEXT, frame)).ticker == "A-1"


def test_a_mark_is_told_from_a_frame() -> None:
    mark = json.loads(line_of(b'{"mark":"tick","frames":5}', Kind.MARK))

    assert (mark["type"], mark["mark"], mark["data"]["mark"]) == ("control", True, "tick")


def test_a_binary_frame_states_its_opcode() -> None:
    frame = json.loads(line_of(b"{}", Kind.BINARY))

    assert (frame["op"], frame["b64"], frame["type"]) == (2, "e30=", "unknown")


NASTY = [
    b"",
    b"\n",
    b"\n\n",
    b"{}",
    b"{}\n",
    b"{}\n\n",
    b"{}\r\n",
    b'{"a":\n1}',
    b'{"a":\r1}',
    b" {}",
    b"{} ",
    b"\t{}\n",
    b"{}{}",
    b"{},{}",
    b'{}"',
    b'1,"x":2',
    b"[1]",
    b"1",
    b'"text"',
    b"null",
    b'{"type":1}',
    b'{"type":"trade","sid":"2","seq":1.5}',
    b'{"type":"trade","msg":[]}',
    b'{"type":"trade","type":"ticker"}',
    b'{"data":1,"n":9,"s":"other"}',
    b'{"sid":123456789012345678901234567890}',
    b'{"sid":true}',
    b"NaN",
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":1e999}',
    b'{"a":-0}',
    b'{"a":01}',
    b'{"a":"\x00"}',
    b'{"a":"\\u0000"}',
    b"\x00",
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":"\xff"}',
    b'{"\xff":1}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"a":"\\ud800"}',
    b'{"a":"\\udc00\\ud800"}',
    b'{"a":"\\ud83d\\ude00"}',
    '{"a":"\u2028\u2029\x85\x7f\U0001f600"}'.encode(),
    b'{"a":"\\"}',
    b'{"a":tru}',
    b'{"a":' + b"[" * 90 + b"]" * 90 + b"}",
    b'{"a":' + b"[" * 990 + b"]" * 990 + b"}",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[" * 200_000,
    b'{"a":"' + b"[" * 5_000 + b'"}',
    b'{"a":[' + b",".join([b"[1,2]"] * 5_000) + b"]}",
    b"x" * 100_000,
]


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.BINARY, Kind.MARK])
@pytest.mark.parametrize("payload", NASTY, ids=lambda payload: repr(payload[:24]))
def test_nasty_frames_come_back_byte_for_byte(payload: bytes, kind: int) -> None:
    assert comes_back(payload, kind)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(str.encode)), st.sampled_from([0, 1, 2]))
def test_any_bytes_come_back(payload: bytes, kind: int) -> None:
    assert comes_back(payload, kind)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(_JSON, st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", "\n", "\r\n", " "]))
def test_any_json_comes_back(value: object, ascii_only: bool, indent: int | None, end: str) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent) + end

    assert comes_back(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200), st.integers(0, 255))
def test_any_altered_byte_of_a_frame_comes_back(at: int, byte: int) -> None:
    frame = bytearray(
        b'{"type":"orderbook_delta","sid":1,"seq":9,"msg":{"market_ticker":"A","p":"0.0100"}}\n'
    )
    frame[at % len(frame)] = byte

    assert comes_back(bytes(frame))


def recorded_frames() -> Iterator[bytes]:
    root = os.environ.get("SSMD_RECORDINGS")
    if root is None:
        if os.environ.get("SSMD_REQUIRE_ALL") == "1":
            pytest.fail("SSMD_RECORDINGS is not set")
        pytest.skip("SSMD_RECORDINGS is not set")
    for path in sorted(Path(root).rglob("*")):
        if path.name.endswith((".ndjson.gz", ".jsonl")):
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                yield from (line for line in file if line.strip())


def frame_of(line: bytes) -> bytes:
    """The frame as it came, from a recorder's line around it."""
    marker = line.find(b'"event":')
    return line if marker < 0 else line[marker + 8 :].strip()[:-1].strip() + b"\n"


@pytest.mark.slow
def test_every_recorded_frame_comes_back_byte_for_byte_as_data() -> None:
    encoder, checked = LineEncoder(SESSION), 0
    for line in recorded_frames():
        record = Record(7, RECV_NS, 1, Kind.TEXT, frame_of(line))
        stored = encoder.encode(record).data
        assert b'"b64":' not in stored
        assert decode_line(stored).record == record
        checked += 1
    assert checked > 1_000


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"n":1}', b"\xff", b'{"ts":1,"type":"x","s":"s","n":1']
)
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(Damaged):
        decode_line(line)


def pack(content: bytes) -> bytes:
    frame = compressor()
    return frame.compress(content) + frame.flush()


def unpack(data: bytes, budget: int = 1 << 20) -> bytes:
    return b"".join(decompressed(data, budget=budget))


@pytest.mark.parametrize("size", [0, 1, 1_000, 300_000])
def test_a_file_comes_back(size: int) -> None:
    content = os.urandom(size)

    assert unpack(pack(content)) == content


def test_every_cut_of_a_file_is_noticed() -> None:
    data = pack(b"line\n" * 2_000)

    for length in range(len(data)):
        with pytest.raises(Damaged):
            unpack(data[:length])


def test_every_flipped_bit_of_a_file_is_noticed_or_harmless() -> None:
    content = os.urandom(300)
    data = pack(content)

    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        try:
            assert unpack(bytes(flipped)) == content
        except Damaged:
            continue


def test_what_follows_a_frame_is_refused() -> None:
    for rest in (b"x", pack(b"more"), b"x" * 5_000):
        with pytest.raises(Damaged, match="follows"):
            unpack(pack(b"content") + rest)


def test_a_bomb_is_refused_by_its_budget() -> None:
    bomb = zstandard.ZstdCompressor(level=1).compress(bytes(256 << 20))

    with pytest.raises(Damaged, match="more than its manifest says"):
        unpack(bomb, budget=1 << 20)

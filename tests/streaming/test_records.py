import pytest
from hypothesis import given
from hypothesis import strategies as st

from streaming.records import MAGIC, Kind, NotALog, Record, header, pack, read_header, unpack

U64, U32 = 2**64 - 1, 2**32 - 1
some_records = st.builds(
    Record,
    n=st.integers(0, U64),
    received_ns=st.integers(0, U64),
    connection=st.integers(0, U32),
    kind=st.sampled_from([int(kind) for kind in Kind]),
    payload=st.binary(max_size=300),
)


@given(some_records)
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    packed = pack(record)

    assert unpack(packed, 0) == (record, len(packed))


@given(st.lists(some_records, max_size=5))
def test_records_stand_behind_each_other(several: list[Record]) -> None:
    data, offset, found = b"".join(map(pack, several)), 0, []

    while (one := unpack(data, offset)) is not None:
        record, offset = one
        found.append(record)

    assert found == several


@given(some_records, st.data())
def test_a_cut_record_is_none(record: Record, data: st.DataObject) -> None:
    packed = pack(record)

    assert unpack(packed[: data.draw(st.integers(0, len(packed) - 1))], 0) is None


@given(some_records, st.data())
def test_a_flipped_bit_is_noticed(record: Record, data: st.DataObject) -> None:
    packed = bytearray(pack(record))
    at = data.draw(st.integers(0, len(packed) * 8 - 1))
    packed[at // 8] ^= 1 << at % 8

    assert unpack(bytes(packed), 0) is None


def test_the_format_is_the_one_that_is_written_down() -> None:
    assert pack(Record(1, 2, 3, 0, b"x")).hex() == (
        "16000000" + pack(Record(1, 2, 3, 0, b"x"))[4:8].hex() + "0100000000000000"
        "0200000000000000"
        "03000000"
        "00"
        "78"
    )
    assert header("demo", "s")[:17] == b"SSMDLOG\0" + b"\1\0" + b"\4\0demo" + b"\1"


def test_a_header_names_its_environment_and_session() -> None:
    whole = header("démo", "kalshi-1")

    assert read_header(whole + b"more") == ("démo", "kalshi-1", len(whole))


def test_a_header_that_is_cut_short_is_none() -> None:
    whole = header("demo", "kalshi-1")

    assert all(read_header(whole[:end]) is None for end in range(len(whole)))


def test_another_format_is_refused() -> None:
    with pytest.raises(NotALog, match="version 2"):
        read_header(MAGIC + b"\2\0" + header("demo", "s")[10:])
    with pytest.raises(NotALog, match="not a capture log"):
        read_header(b"something else entirely")

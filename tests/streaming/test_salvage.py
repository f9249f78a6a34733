import pytest

from streaming import marks, records
from streaming.records import Kind, Record, pack, unpack
from streaming.salvage import Hole, Place, salvage

HEADER = records.header("demo", "s")
FRAMES = [Record(n, 1_000 + 10 * n, 1, int(Kind.TEXT), b'{"frame":%d}' % n) for n in range(11, 31)]
WHOLE = Place(HEADER, first_n=11, until_n=31, before_ns=1_100, after_ns=1_310)


def segment(*without: int) -> bytes:
    """Frames 11 to 30, those that are named damaged in their middle."""
    pieces = [bytearray(pack(frame)) for frame in FRAMES]
    for n in without:
        pieces[n - 11][30] ^= 0x10
    return HEADER + b"".join(pieces)


def read(data: bytes) -> list[Record]:
    found, at = list[Record](), len(HEADER)
    while (one := unpack(data, at)) is not None:
        record, at = one
        found.append(record)
    assert at == len(data)
    return found


@pytest.mark.parametrize("place", [WHOLE, WHOLE._replace(until_n=None, after_ns=0)])
def test_a_sound_segment_is_left_alone(place: Place) -> None:
    assert salvage(segment(), place) is None


@pytest.mark.parametrize(
    ("lost", "holes"),
    [
        ((11,), [Hole(11, 11)]),
        ((15, 16, 17), [Hole(15, 17)]),
        ((12, 20, 30), [Hole(12, 12), Hole(20, 20), Hole(30, 30)]),
        (tuple(range(11, 31)), [Hole(11, 30)]),
    ],
)
def test_every_sound_record_stays_and_a_mark_owns_up_to_the_others(
    lost: tuple[int, ...], holes: list[Hole]
) -> None:
    salvaged = salvage(segment(*lost), WHOLE)

    assert salvaged is not None
    found = read(salvaged.data)
    assert salvaged.holes == tuple(holes)
    assert [record.n for record in found] == list(range(11, 31))
    assert [record for record in found if record.kind == Kind.TEXT] == [
        frame for frame in FRAMES if frame.n not in lost
    ]
    times = [1_100, *(record.received_ns for record in found), 1_310]
    assert times == sorted(set(times))
    told = {record.n: marks.decode(record.payload) for record in found if record.n in lost}
    for first_n, last_n in holes:
        mark = told[first_n]
        assert isinstance(mark, marks.GapOpen)
        assert (mark.cause, mark.after_n, mark.detail) == ("capture_loss", first_n - 1, {"last_n": last_n})


def test_nothing_before_the_damage_is_another_byte() -> None:
    data = segment(20)

    salvaged = salvage(data, WHOLE)

    assert salvaged is not None
    begin = len(HEADER) + sum(len(pack(frame)) for frame in FRAMES[:9])
    assert begin <= salvaged.damaged_at < begin + len(pack(FRAMES[9]))
    assert salvaged.data[: salvaged.damaged_at] == data[: salvaged.damaged_at]


@pytest.mark.parametrize("at", range(len(HEADER)))
def test_a_damaged_header_is_made_anew_and_loses_no_record(at: int) -> None:
    data = bytearray(segment())
    data[at] ^= 1

    salvaged = salvage(bytes(data), WHOLE)

    assert salvaged is not None
    assert (salvaged.data, salvaged.holes) == (segment(), ())
    assert not records.is_foreign(bytes(data), HEADER)


def test_a_sound_header_of_another_log_is_foreign() -> None:
    assert records.is_foreign(records.header("demo", "t") + segment()[len(HEADER) :], HEADER)


def test_the_torn_end_of_a_last_segment_is_no_hole() -> None:
    assert salvage(segment()[:-5], WHOLE._replace(until_n=None, after_ns=0)) is None


def test_what_an_abandoned_segment_holds_beyond_its_successors_begin_is_not_missed() -> None:
    assert salvage(segment(29), WHOLE._replace(until_n=29)) is None


def test_of_a_file_without_a_record_nothing_is_made() -> None:
    assert salvage(b"something else entirely", WHOLE._replace(until_n=None, before_ns=0, after_ns=0)) is None

"""What can be saved of a damaged segment: its sound records, and marks in the place of those that are lost. Pure.

The n of a session have no hole, whatever happens. The first lost record's place takes a `capture_loss` mark, the others'
places take ticks: they say nothing, and keep the numbers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from streaming import marks, records
from streaming.records import Kind, Record, find_record, pack, unpack

LEAST_RECORD_BYTES = len(pack(Record(1, 1, 0, int(Kind.MARK), b"")))


class Place(NamedTuple):
    """Where a segment stands in its session.

    Its first n; the first n of what follows (None: it is the last); the receive times of the records before and after
    it, 0 where there is none or none is known.
    """

    header: bytes
    first_n: int
    until_n: int | None
    before_ns: int
    after_ns: int


class Hole(NamedTuple):
    """Records that cannot be read: from the first to the last n."""

    first_n: int
    last_n: int


class Salvaged(NamedTuple):
    """The segment as it should be, what of it was lost, and the first byte that is no longer what it was."""

    data: bytes
    holes: tuple[Hole, ...]
    damaged_at: int


def salvage(data: bytes, place: Place) -> Salvaged | None:
    """The segment's sound records, its holes filled; None where nothing is missing, or nothing is known of what is."""
    sound = [place.header]
    due, last_ns, holes = place.first_n, place.before_ns, list[Hole]()
    for record in sound_records(data, place):
        if record.n > due:
            holes.append(Hole(due, record.n - 1))
            sound += _filling(holes[-1], last_ns, record.received_ns)
        sound.append(pack(record))
        due, last_ns = record.n + 1, record.received_ns
    if place.until_n is not None and due < place.until_n:
        holes.append(Hole(due, place.until_n - 1))
        sound += _filling(holes[-1], last_ns, place.after_ns)
    is_header_sound = data.startswith(place.header)
    if (not holes and is_header_sound) or not (last_ns or place.after_ns):
        return None
    whole = b"".join(sound)
    return Salvaged(whole, tuple(holes), _first_difference(data, whole))


def sound_records(data: bytes, place: Place) -> Iterator[Record]:
    """Every record of the segment that can be read, each n once, up to where the next segment begins."""
    at, due = len(place.header), place.first_n
    if not data.startswith(place.header) and unpack(data, at) is None:
        at = 0
    while place.until_n is None or due < place.until_n:
        began, found = at, unpack(data, at) or find_record(data, at)
        if found is None:
            return
        record, at = found
        if not due <= record.n < (place.until_n or record.n + 1):
            continue
        # So many records need room: what only looks like a record in between is none.
        if (record.n - due) * LEAST_RECORD_BYTES <= at - began:
            yield record
            due = record.n + 1


def _filling(hole: Hole, last_ns: int, next_ns: int) -> Iterator[bytes]:
    """The marks in a hole, received between its neighbours: those rise strictly, so there is a time for each."""
    count = hole.last_n - hole.first_n + 1
    before_ns = last_ns or next_ns - count - 1
    loss = marks.GapOpen(
        cause="capture_loss",
        connection=0,
        from_ns=before_ns,
        after_n=hole.first_n - 1,
        fault="ours",
        detail={"last_n": hole.last_n},
    )
    yield _mark(hole.first_n, before_ns + 1, loss)
    for step in range(1, count):
        yield _mark(hole.first_n + step, before_ns + 1 + step, marks.Tick(frames=0))


def _mark(n: int, received_ns: int, mark: marks.Mark) -> bytes:
    return records.pack_fields(n, received_ns, 0, int(Kind.MARK), marks.encode(mark))


def _first_difference(data: bytes, other: bytes) -> int:
    """By halves: a comparison byte by byte takes a minute for a large segment."""
    low, high = 0, min(len(data), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if data[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low

"""The recorded books of gold: exact against a slow book of decimals, never crossed, never less than nothing."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from streaming.events import BookDelta, BookSide, BookSnapshot
from streaming.kalshi.normalizer import Normalizer
from streaming.records import Kind, Record

QUIET = "KXGOLD15M-26AUG050800-00"
Book = dict[tuple[BookSide, int], Decimal]


def frames(window: Path) -> Iterator[tuple[int, bytes]]:
    """(receive time, frame) of one market; numbered anew, since the subscription was shared with other markets."""
    numbers: dict[int, int] = {}
    for path in sorted(window.glob("*.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            row = msgspec.json.decode(line)
            sid = row["event"]["sid"]
            row["event"]["seq"] = numbers[sid] = numbers.get(sid, 0) + 1
            yield row["recv_ms"] * 10**6, msgspec.json.encode(row["event"])


def check(window: Path) -> int:
    """Deltas of the window, every one of which found its book known and left it possible."""
    normalizer, book, deltas = Normalizer("s"), Book(), 0
    for n, (at_ns, payload) in enumerate(frames(window), start=1):
        [event, *rest] = normalizer.apply(Record(n, at_ns + n, 1, Kind.TEXT, payload))
        assert normalizer.issues == (), (window.name, payload)
        _follow(book, payload)
        if isinstance(event, BookDelta):
            deltas += 1
            rests = book.get((event.side, event.price_e4), Decimal(0))
            assert event.size_e2 == rests * 100 >= 0, payload
        for checkpoint in rest:
            assert isinstance(checkpoint, BookSnapshot)
            assert _levels(checkpoint) == {place: size * 100 for place, size in book.items()}
    return deltas


def _follow(book: Book, payload: bytes) -> None:
    """The same book, read the slow way."""
    frame = msgspec.json.decode(payload)
    said = frame["msg"]
    if frame["type"] == "orderbook_snapshot":
        book.clear()
        for name, side in (("yes_dollars_fp", BookSide.BID), ("no_dollars_fp", BookSide.ASK)):
            book.update({_place(side, price): Decimal(size) for price, size in said.get(name, [])})
    elif frame["type"] == "orderbook_delta":
        place = _place(BookSide.BID if said["side"] == "yes" else BookSide.ASK, said["price_dollars"])
        book[place] = book.get(place, Decimal(0)) + Decimal(said["delta_fp"])
        if not book[place]:
            del book[place]


def _place(side: BookSide, price: str) -> tuple[BookSide, int]:
    dollars = Decimal(price) if side is BookSide.BID else 1 - Decimal(price)
    return side, int(dollars * 10_000)


def _levels(book: BookSnapshot) -> dict[tuple[BookSide, int], int]:
    sides = ((BookSide.BID, book.bids), (BookSide.ASK, book.asks))
    return {(side, level.price_e4): level.size_e2 for side, levels in sides for level in levels}


def test_a_quiet_windows_books_are_exact_and_possible(recordings: Path) -> None:
    assert check(recordings / "gold15m/events" / QUIET) > 25_000


@pytest.mark.soak(minutes=1)
def test_every_windows_books_are_exact_and_possible(recordings: Path) -> None:
    windows = sorted((recordings / "gold15m/events").iterdir())

    assert len(windows) == 10
    assert sum(check(window) for window in windows) > 500_000

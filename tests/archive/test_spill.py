"""What was spilled comes back file by file, in the order in which it was added."""

from pathlib import Path

import pytest

from archive.objects import StoreError
from archive.spill import BUCKET_BYTES, Spill


def test_events_come_back_by_kind_and_ticker_in_their_order(tmp_path: Path) -> None:
    spill = Spill(tmp_path, ["trade", "orderbook"], expected_bytes=5 * BUCKET_BYTES)
    for n in range(5_000):
        spill.add(n % 2, f"M{n % 7}", 1_000 + n, "s", n, 0, b"%d" % n * 20)

    found = {(folder, ticker): events for folder, ticker, events in spill.files()}

    assert len(found) == 14
    assert spill.tickers == 7
    for (folder, ticker), events in found.items():
        numbers = [event.n for event in events]
        assert numbers == sorted(numbers)
        assert all(n % 7 == int(ticker[1:]) and n % 2 == (folder == "orderbook") for n in numbers)
        assert all(event.payload == b"%d" % event.n * 20 for event in events)
    assert sum(map(len, found.values())) == 5_000


def test_nothing_stays_on_disk(tmp_path: Path) -> None:
    spill = Spill(tmp_path, ["trade"], expected_bytes=1)
    spill.add(0, "M", 1, "s", 1, 0, b"x" * 1_000_000)

    assert len(list(spill.files())) == 1
    assert list(tmp_path.iterdir()) == []


def test_two_who_do_the_same_work_at_once_do_not_meet(tmp_path: Path) -> None:
    one, other = (Spill(tmp_path, ["trade"], expected_bytes=1) for _ in range(2))
    for spill, ticker in ((one, "ONE"), (other, "OTHER"), (one, "ONE")):
        spill.add(0, ticker, 1, "s", 1, 0, b"x" * 1_000_000)

    assert list(tmp_path.iterdir()) == []  # nor does one that is killed leave anything
    assert [(ticker, len(events)) for _, ticker, events in other.files()] == [("OTHER", 1)]
    assert [(ticker, len(events)) for _, ticker, events in one.files()] == [("ONE", 2)]


def test_a_folder_that_cannot_be_worked_in_is_named(tmp_path: Path) -> None:
    (tmp_path / "work").write_text("a file is in its place")

    with pytest.raises(StoreError, match=r"work cannot be worked in: File exists"):
        Spill(tmp_path / "work", ["trade"], expected_bytes=1)

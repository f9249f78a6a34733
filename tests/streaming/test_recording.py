from pathlib import Path

import pytest

from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.kalshi.findings import SequenceGap
from streaming.kalshi.sequence import Skipped
from streaming.recording import OpenGaps, incomplete_mark, sequence_gap_mark


@pytest.fixture
def log(tmp_path: Path) -> CaptureLog:
    return CaptureLog(tmp_path / "s", environment="demo", session="s")


def written(log: CaptureLog) -> list[marks.Mark]:
    return [marks.decode(record.payload) for record in CaptureLogReader(log.folder).read()]


def gap(
    cause: str = "connection_lost", *, after_n: int = 4, connection: int = 1, sid: int = 0
) -> marks.GapOpen:
    return marks.GapOpen(cause=cause, connection=connection, from_ns=1, after_n=after_n, sid=sid)


def test_a_gaps_number_is_the_n_of_the_mark_that_opens_it(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")
    log.mark(marks.Tick(1))

    gaps.open(gap())
    gaps.close(["connection_lost"], to_ns=9)

    assert written(log)[1:] == [gap(), marks.GapClose(gap=2, to_ns=9)]


def test_the_same_loss_is_opened_once(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")

    gaps.open(gap())
    gaps.open(gap())

    assert written(log) == [gap()]


def test_two_holes_of_one_subscription_are_two_losses(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")

    for after_n in (4, 8):
        gaps.open(gap("sequence_gap", after_n=after_n, sid=1))
    gaps.close(["sequence_gap"], to_ns=9, connection=1, sid=1)

    assert written(log)[2:] == [marks.GapClose(1, 9), marks.GapClose(2, 9)]


def test_two_missing_markets_are_two_losses_that_end_apart(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")
    for ticker in ("A", "B"):
        gaps.open(incomplete_mark(ticker, connection=1, after=(4, 5)))

    gaps.close(["subscription_incomplete"], to_ns=9, connection=1, ticker="B")

    assert written(log)[2:] == [marks.GapClose(2, 9)]


def test_only_losses_of_earlier_connections_end_with_a_new_one(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")
    for connection in (1, 2):
        gaps.open(gap("sequence_gap", connection=connection))

    gaps.close_earlier(["sequence_gap"], to_ns=9, line=0, than_connection=2)

    assert written(log)[2:] == [marks.GapClose(1, 9)]


def test_other_losses_stay_open(log: CaptureLog) -> None:
    gaps = OpenGaps(log, "f")
    gaps.open(gap(sid=2))

    gaps.close(["auth_failed"], to_ns=9)
    gaps.close(["connection_lost"], to_ns=9, connection=2)
    gaps.close(["connection_lost"], to_ns=9, sid=1)

    assert len(written(log)) == 1


def test_a_loss_of_trades_is_healable_and_one_of_books_is_not() -> None:
    for tickers, is_healable in ((None, True), (("A",), False)):
        finding = SequenceGap(Skipped(3, 5, 9), "trade", tickers, after_n=7, after_ns=70)

        mark = sequence_gap_mark(finding, connection=2, now_ns=99)

        assert (mark.healable, mark.after_n, mark.from_ns, mark.sid) == (is_healable, 7, 70, 3)
        assert mark.detail == {"expected": 5, "received": 9}


@pytest.mark.parametrize(
    ("venues", "ours"),
    [("orderbook_delta", "orderbook"), ("trade", "trade"), ("market_lifecycle_v2", "lifecycle"), ("", "")],
)
def test_a_sequence_gap_names_the_channel_of_its_subscription(venues: str, ours: str) -> None:
    finding = SequenceGap(Skipped(3, 5, 9), venues, None, after_n=7, after_ns=70)

    assert sequence_gap_mark(finding, connection=2, now_ns=99).channel == ours

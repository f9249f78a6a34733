from pathlib import Path

import pytest

from streaming import marks
from streaming.capture_log import CaptureLog, CaptureLogReader
from streaming.kalshi.consequences import Consequences
from streaming.kalshi.findings import SequenceGap
from streaming.kalshi.markets import MarketBoard, Patterns
from streaming.kalshi.sequence import Skipped
from streaming.recording import OpenGaps


@pytest.mark.parametrize("tickers", [None, ()])
def test_a_skip_that_no_snapshot_can_heal_is_over_at_once(
    tmp_path: Path, tickers: tuple[str, ...] | None
) -> None:
    log = CaptureLog(tmp_path / "s", environment="demo", session="s")
    consequences = Consequences(log, OpenGaps(log, "f"), MarketBoard(Patterns(is_everything=True)), feed="f")

    gap = SequenceGap(Skipped(4, 3, 5), "orderbook_delta", tickers, after_n=0, after_ns=0)
    consequences.draw([gap], connection=1, last_frame=(0, 0), now_ns=9)

    opened, closed = (marks.decode(record.payload) for record in CaptureLogReader(log.folder).read())
    assert isinstance(opened, marks.GapOpen)
    assert closed == marks.GapClose(gap=1, to_ns=9)

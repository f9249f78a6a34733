from streaming.kalshi.recent_trades import RecentTrades
from tests.streaming.kalshi.frames import trade


def test_the_ids_of_frames_that_came_are_known() -> None:
    recent = RecentTrades()
    recent.note(trade("A", 1, trade_id="one"))

    assert "one" in recent
    assert "two" not in recent


def test_the_oldest_are_forgotten_first() -> None:
    recent = RecentTrades(most=2)
    for name in ("one", "two", "three"):
        recent.note(trade("A", 1, trade_id=name))

    assert [name in recent for name in ("one", "two", "three")] == [False, True, True]


def test_a_frame_without_an_id_says_nothing() -> None:
    recent = RecentTrades()

    recent.note(b'{"type":"trade","msg":')

    assert "" not in recent

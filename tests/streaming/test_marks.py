import msgspec
import pytest

from streaming import marks

EVERY_MARK: list[marks.Mark] = [
    marks.SessionStart("kalshi", "demo", 3, "ab", "v2", "wss://x", "0.1", {"use_yes_price": True}),
    marks.Tick(frames=7),
    marks.ConnectionOpen(connection=1),
    marks.ConnectionReady(connection=1, tickers=40),
    marks.ConnectionClose(connection=1, code=1006, reason="silence"),
    marks.GapOpen(cause="connection_lost", connection=1, from_ns=5, after_n=4),
    marks.GapOpen(
        cause="sequence_gap", connection=1, from_ns=5, after_n=4, sid=2, tickers=["A"], planned=True,
        healable=True, fault="ours", unpublished_from=1, unpublished_to=9, detail={"expected": 3},
        channel="orderbook",
    ),
    marks.GapClose(gap=9, to_ns=10),
    marks.MarketOpened(ticker="A", at_ns=11),
    marks.MarketClosed(ticker="A", at_ns=12),
    marks.SessionEnd(reason="stopped"),
]  # fmt: skip


@pytest.mark.parametrize("mark", EVERY_MARK, ids=lambda mark: type(mark).__name__)
def test_a_mark_comes_back_as_it_was(mark: marks.Mark) -> None:
    assert marks.decode(marks.encode(mark)) == mark


@pytest.mark.parametrize("mark", EVERY_MARK, ids=lambda mark: type(mark).__name__)
def test_a_mark_is_one_json_object_on_one_line(mark: marks.Mark) -> None:
    encoded = marks.encode(mark)

    assert b"\n" not in encoded
    assert "mark" in msgspec.json.decode(encoded)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"mark":"other"}', b'{"mark":"tick"}', b"[]", b"\xff"])
def test_what_is_no_mark_is_refused(payload: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        marks.decode(payload)

"""What faults make of one connection's frames, without any socket."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from streaming.kalshi.messages import decode_frame
from streaming.kalshi.simulator import wire
from streaming.kalshi.simulator.book import Book
from streaming.kalshi.simulator.frames import Broadcast, delta, snapshot, trade
from streaming.kalshi.simulator.mischief.line import Line
from streaming.kalshi.simulator.mischief.outgoing import BINARY, Out
from streaming.kalshi.simulator.mischief.running import Mischief
from streaming.kalshi.simulator.mischief.script import parse_fault

A, B = "KXA-1", "KXB-2"
NOW_US = 1_795_370_400_123_456
CHANNELS = {1: "orderbook_delta", 2: "trade", 3: "ticker"}


class Bench:
    """A line with its faults and a clock that stands until it is moved."""

    def __init__(self) -> None:
        self.mischief = Mischief()
        self.line = Line(1, self.mischief, lambda sid: CHANNELS.get(sid or 0, ""))
        self.now_s = 100.0

    def fault(self, do: str, **entry: Any) -> int:
        return self.mischief.add(parse_fault({"do": do, **entry}), self.now_s)

    def feed(self, *frames: bytes) -> list[Out]:
        self.mischief.advance(self.now_s)
        return self.line.feed(frames, self.now_s)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def sent(made: Broadcast, sid: int, seq: int | None) -> bytes:
    return made.stamped(sid, seq, NOW_US // 1000)


def change(seq: int, ticker: str = A) -> bytes:
    return sent(delta(ticker, "id", "yes", 4500, -1250, NOW_US), 1, seq)


def whole(seq: int, ticker: str = A) -> bytes:
    book = Book()
    book.replace({4500: 1250}, {5200: 300})
    return sent(snapshot(ticker, "id", book), 1, seq)


def bought(seq: int, ticker: str = A) -> bytes:
    return sent(trade(ticker, "t-1", "yes", 4500, 1250, NOW_US), 2, seq)


def quote(ticker: str = A) -> bytes:
    return (
        b'{"type":"ticker","sid":3,"msg":{"market_ticker":"%b","price_dollars":"0.4500"}}\n' % ticker.encode()
    )


def seqs(outs: list[Out], *, handed: bool = True) -> list[int]:
    return [json.loads(out.payload)["seq"] for out in outs if out.handed or not handed]


def told(out: Out) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.payload)
    return found


# --- lost -------------------------------------------------------------------------------------


def test_lost_numbers_stand_in_the_ledger_and_go_to_nobody(bench: Bench) -> None:
    bench.fault("skip_seq", count=2)
    outs = bench.feed(*(change(seq) for seq in range(1, 6)))

    assert seqs(outs) == [3, 4, 5]
    assert [out.recorded for out in outs] == [True] * 5


def test_a_fault_keeps_to_its_channel_and_its_tickers(bench: Bench) -> None:
    bench.fault("skip_seq", count=5, channel="trade")
    bench.fault("skip_seq", count=5, tickers=[B])
    outs = bench.feed(change(1), change(2, B), bought(1), bought(2, B))

    assert [told(out)["msg"]["market_ticker"] for out in outs if out.handed] == [A]


def test_numbers_jump_without_a_loss_and_stay_so(bench: Bench) -> None:
    bench.fault("jump_seq", by=5)
    assert seqs(bench.feed(change(1), change(2))) == [6, 7]
    assert seqs(bench.feed(change(3))) == [8]
    assert not bench.line.is_straight


def test_a_sid_begins_anew_at_one(bench: Bench) -> None:
    bench.feed(change(1), change(2))
    bench.fault("reset_seq")
    assert seqs(bench.feed(change(3), change(4), bought(1))) == [1, 2, 1]


def test_silence_lasts_until_it_is_cleared_and_answers_pass(bench: Bench) -> None:
    number = bench.fault("silence")
    ack = b'{"type":"ok","id":1,"sid":1,"seq":2,"msg":{"market_tickers":[]}}\n'
    outs = bench.feed(change(1), ack, quote())
    bench.mischief.clear(number, bench.now_s)

    assert [told(out)["type"] for out in outs if out.handed] == ["ok"]
    assert [out.recorded for out in outs] == [True, True, False]
    assert seqs(bench.feed(change(3))) == [3]


def test_silence_without_numbers_leaves_no_trace(bench: Bench) -> None:
    bench.fault("silence", numbered=False, channel="orderbook_delta", **{"for": 1})
    assert bench.feed(change(1), change(2)) == []
    bench.now_s += 1
    assert seqs(bench.feed(change(3), change(4))) == [1, 2]


def test_dropped_tickers_are_in_no_ledger_but_counted(bench: Bench) -> None:
    bench.fault("lose_tickers", count=2)
    [running] = bench.mischief.named("lose_tickers")
    outs = bench.feed(quote(), quote(), quote(), change(1))

    assert [out.handed for out in outs] == [False, False, True, True]
    assert [out.recorded for out in outs] == [False, False, True, True]
    assert running.unrecorded == 2


def test_swallowed_snapshots_take_no_number(bench: Bench) -> None:
    bench.fault("swallow_snapshots", count=1)
    assert seqs(bench.feed(whole(1), change(2), whole(3))) == [1, 2]


def test_a_lost_answer_takes_no_number_and_the_first_may_pass(bench: Bench) -> None:
    bench.fault("lose_acks", skip=1)
    acks = [b'{"type":"ok","id":%d,"sid":1,"seq":%d,"msg":{}}\n' % (seq, seq) for seq in (1, 2, 3)]
    assert [told(out)["id"] for out in bench.feed(*acks)] == [1, 3]


def test_errors_come_instead_of_data(bench: Bench) -> None:
    bench.fault("errors_only", every=1)
    first = [out for out in bench.feed(change(1)) if out.handed]
    bench.now_s += 0.5
    second = [out for out in bench.feed(change(2)) if out.handed]
    bench.now_s += 0.5
    third = [out for out in bench.feed() if out.handed]

    assert [told(out)["type"] for out in (*first, *second, *third)] == ["error", "error"]


# --- order ------------------------------------------------------------------------------------


def test_a_frame_comes_again_and_the_ledger_has_it_twice(bench: Bench) -> None:
    bench.fault("duplicate", times=2)
    outs = bench.feed(change(1), change(2))

    assert seqs(outs) == [1, 1, 1, 2]
    assert all(out.recorded for out in outs)


def test_two_frames_of_a_sid_change_places_even_over_a_pause(bench: Bench) -> None:
    bench.fault("swap")
    assert seqs(bench.feed(change(1))) == []
    assert seqs(bench.feed(bought(1))) == [1]
    assert seqs(bench.feed(change(2), change(3))) == [2, 1, 3]
    assert bench.line.is_straight or bench.feed() == []


def test_a_snapshot_comes_behind_changes(bench: Bench) -> None:
    bench.fault("late_snapshots", frames=2)
    types = [told(out)["type"] for out in bench.feed(whole(1), change(2), change(3), change(4))]

    assert types == ["orderbook_delta", "orderbook_delta", "orderbook_snapshot", "orderbook_delta"]


def test_a_late_burst_comes_all_at_once(bench: Bench) -> None:
    bench.fault("late_burst", **{"for": 2})
    assert bench.feed(change(1), bought(1)) == []
    bench.now_s += 2
    assert seqs(bench.feed(change(2))) == [1, 1, 2]
    assert bench.feed() == []
    assert bench.line.is_straight


# --- contents ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "holds"),
    [
        ({"do": "unknown_field", "field": "mood", "value": [1]}, lambda msg: msg["mood"] == [1]),
        ({"do": "drop_field"}, lambda msg: "ts_ms" not in msg),
        ({"do": "wrong_type"}, lambda msg: msg["ts_ms"] == str(NOW_US // 1000)),
        ({"do": "wrong_type", "field": "price_dollars"}, lambda msg: msg["price_dollars"] == 0.45),
        ({"do": "set_field", "field": "price_dollars", "value": "-0.0"}, lambda msg: msg["price_dollars"] == "-0.0"),
        ({"do": "shift_times", "seconds": 86400}, lambda msg: msg["ts_ms"] == NOW_US // 1000 + 86_400_000),
        ({"do": "old_format"}, lambda msg: (msg["price"], msg["delta"]) == (45, -12) and "delta_fp" not in msg),
        ({"do": "old_format", "form": "both"}, lambda msg: (msg["price"], msg["delta_fp"]) == (45, "-12.50")),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_delta_is_changed_as_ordered_and_else_as_it_was(
    bench: Bench, order: dict[str, Any], holds: Callable[[dict[str, Any]], bool]
) -> None:
    bench.fault(**order)
    [out] = bench.feed(change(1))

    assert holds(told(out)["msg"])
    assert told(out)["msg"]["market_ticker"] == A
    assert out.handed and out.recorded and out.payload.endswith(b"\n")


def test_a_field_of_the_envelope_can_be_dropped(bench: Bench) -> None:
    bench.fault("drop_field", field="sending_ts_ms", top=True)
    [out] = bench.feed(change(1))
    assert set(told(out)) == {"type", "sid", "seq", "msg"}


@pytest.mark.parametrize("form", ["cents", "dollars", "both"])
def test_old_formats_are_still_read_as_the_same_market(bench: Bench, form: str) -> None:
    bench.fault("old_format", form=form)
    for out in bench.feed(whole(1), change(2), bought(1)):
        decoded: Any = decode_frame(out.payload)
        assert decoded.msg.market_ticker == A


def test_an_old_snapshot_has_whole_cents_and_contracts(bench: Bench) -> None:
    bench.fault("old_format")
    [out] = bench.feed(whole(1))
    assert told(out)["msg"] == {"market_ticker": A, "market_id": "id", "yes": [[45, 12]], "no": [[52, 3]]}


def test_snapshots_can_be_empty(bench: Bench) -> None:
    bench.fault("empty_snapshots")
    [out] = bench.feed(whole(1))
    assert told(out)["msg"] == {"market_ticker": A, "market_id": "id"}


def test_a_frame_is_padded_to_the_byte(bench: Bench) -> None:
    bench.fault("pad_frame", bytes=100_000)
    [out] = bench.feed(change(1))
    assert len(out.payload) == 100_000
    assert told(out)["seq"] == 1


def test_binary_frames_hold_the_same_bytes(bench: Bench) -> None:
    bench.fault("binary")
    [out] = bench.feed(change(1))
    assert (out.opcode, out.payload) == (BINARY, change(1))


def test_bytes_that_are_no_utf8(bench: Bench) -> None:
    bench.fault("invalid_utf8")
    [out] = bench.feed(change(1))
    with pytest.raises(UnicodeDecodeError):
        out.payload.decode()


@pytest.mark.parametrize("how", ["cut", "doubled", "comma", "quote", "garbage"])
def test_malformed_frames_are_no_json(bench: Bench, how: str) -> None:
    bench.fault("malformed", how=how)
    [out] = bench.feed(change(1))
    with pytest.raises(ValueError, match=r"."):
        json.loads(out.payload)


def test_random_mutations_differ_and_repeat_by_their_seed() -> None:
    runs = []
    for _ in range(2):
        bench = Bench()
        bench.fault("malformed", how="random", seed=7, count=50)
        runs.append([out.payload for out in bench.feed(*([change(1)] * 50))])

    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 40


# --- the wire ---------------------------------------------------------------------------------


def test_a_frame_is_cut_after_so_many_bytes_and_counts_as_sent(bench: Bench) -> None:
    bench.fault("cut_frame", bytes=9)
    [out] = bench.feed(change(1))
    assert (out.wire, out.then, out.recorded) == (wire.text_frame(change(1))[:9], "reset", True)


def test_a_bomb_is_small_on_the_wire() -> None:
    assert len(wire.compressed_zeros(10 * 2**20)) < 20_000


# --- when -------------------------------------------------------------------------------------


def test_a_fault_waits_for_its_frame(bench: Bench) -> None:
    bench.fault("skip_seq", at_frame=3)
    assert seqs(bench.feed(*(change(seq) for seq in range(1, 6)))) == [1, 2, 4, 5]


def test_a_scripts_time_begins_with_the_first_client() -> None:
    mischief = Mischief([parse_fault({"do": "half_open", "after": 5})])
    mischief.advance(1000.0)
    mischief.connected(1, 2000.0)
    mischief.advance(2004.9)
    assert mischief.named("half_open") == []
    mischief.advance(2005.0)
    assert len(mischief.named("half_open")) == 1


def test_next_means_the_connection_that_comes_next() -> None:
    mischief = Mischief()
    mischief.add(parse_fault({"do": "silence", "connection": "next"}), 1.0)
    [running] = mischief.named("silence")
    assert not running.concerns(4)
    mischief.connected(5, 2.0)
    assert (running.concerns(4), running.concerns(5)) == (False, True)


def test_without_faults_nothing_is_looked_at(bench: Bench) -> None:
    assert bench.mischief.is_idle and bench.line.is_straight
    number = bench.fault("skip_seq")
    assert not bench.mischief.is_idle
    bench.mischief.clear(number, bench.now_s)
    assert bench.mischief.is_idle

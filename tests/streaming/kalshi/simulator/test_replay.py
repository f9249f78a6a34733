"""Recordings lived again: the same values, new numbers, times of now."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi.simulator import recording
from streaming.kalshi.simulator.book import Book, levels_of, price_e4, size_e2
from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.protocol import Conversation
from streaming.kalshi.simulator.replay import Replay
from streaming.kalshi.simulator.retime import parsed_us
from streaming.kalshi.simulator.venue import Venue
from tests.streaming.kalshi.simulator.conftest import (
    MARKET,
    SMALL,
    START_MS,
    Line,
    delta,
    snapshot,
    trade,
    write,
    write_metadata,
)

NOW_US = 1_795_000_000_000_000
OTHER = "KXGOLD15M-26AUG102145-45"
_TIMES = re.compile(r',"ts":("[^"]+"|\d+),"ts_ms":\d+')


class Play:
    """An exchange that replays, one client, and what it heard."""

    def __init__(self, *paths: Path, speed: float = 0, original_times: bool = False) -> None:
        self.venue = Venue()
        contents = recording.survey(recording.find(paths))
        self.replay = Replay(self.venue, contents, speed=speed, original_times=original_times)
        self.exchange = Exchange(self.venue, self.replay)
        self.frames = self.replay.frames()
        self.due_us: list[int] = []

    def client(self, *tickers: str, channels: tuple[str, ...] = ("orderbook_delta", "trade")) -> Conversation:
        conversation = self.exchange.connect()
        params = {"channels": channels, "market_tickers": tickers}
        command = json.dumps({"id": 1, "cmd": "subscribe", "params": params})
        self.exchange.receive(conversation, command, now_us=NOW_US)
        return conversation

    def on(self, frames: int = 1_000_000) -> None:
        for _, (due_us, frame) in zip(range(frames), self.frames, strict=False):
            self.due_us.append(due_us)
            self.exchange.publish([frame], now_us=NOW_US)

    def market(self, ticker: str = MARKET) -> dict[str, Any]:
        status, body = self.exchange.rest(f"/trade-api/v2/markets/{ticker}", now_us=NOW_US)
        assert status == 200
        found: dict[str, Any] = body["market"]
        return found


def heard(conversation: Conversation) -> list[dict[str, Any]]:
    return [json.loads(text) for text in conversation.outbox]


def data(conversation: Conversation) -> list[dict[str, Any]]:
    return [frame for frame in heard(conversation) if frame["type"] != "subscribed"]


def timeless(lines: list[str]) -> list[str]:
    """The `msg` part of each frame as text, without its times."""
    return [
        _TIMES.sub("", line.partition('"msg":')[2].partition(',"sending_ts_ms"')[0]).rstrip("}\n")
        for line in lines
    ]


def rebuilt(frames: list[dict[str, Any]]) -> Book:
    book = Book()
    for frame in frames:
        msg = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            book.replace(levels_of(msg.get("yes_dollars_fp", [])), levels_of(msg.get("no_dollars_fp", [])))
        elif frame["type"] == "orderbook_delta":
            book.change(msg["side"], price_e4(msg["price_dollars"]), size_e2(msg["delta_fp"]))
    return book


def test_a_client_gets_every_recorded_frame_with_its_values_verbatim(small: Path) -> None:
    play = Play(small)
    client = play.client(MARKET)

    play.on()

    texts = [text.decode() for text in client.outbox[2:]]
    recorded = [json.dumps(line["event"], separators=(",", ":")) for line in SMALL]
    assert timeless(texts) == timeless(recorded)


def test_sids_and_numbers_are_those_of_the_new_connection(small: Path) -> None:
    play = Play(small)
    client = play.client(MARKET)

    play.on()

    numbers = [(frame["type"], frame["sid"], frame["seq"]) for frame in data(client)]
    assert numbers == [
        ("orderbook_snapshot", 1, 1), ("orderbook_delta", 1, 2), ("trade", 2, 1),
        ("orderbook_delta", 1, 3), ("orderbook_delta", 1, 4), ("orderbook_delta", 1, 5),
    ]  # fmt: skip


def test_times_are_moved_so_that_the_recording_begins_now(small: Path) -> None:
    play = Play(small)
    client = play.client(MARKET)

    play.on()

    first_delta, first_trade = data(client)[1]["msg"], data(client)[2]["msg"]
    assert first_delta["ts_ms"] == NOW_US // 1000 + 88
    assert parsed_us(first_delta["ts"]) == NOW_US + 88_273
    assert first_trade["ts"] == first_trade["ts_ms"] // 1000


def test_times_are_scaled_by_the_speed(small: Path) -> None:
    play = Play(small, speed=10)
    client = play.client(MARKET)

    play.on()

    assert play.due_us == [0, 10_000, 10_100, 20_000, 30_000, 40_000]
    assert data(client)[1]["msg"]["ts_ms"] == NOW_US // 1000 + 8


def test_original_times_stay(small: Path) -> None:
    play = Play(small, original_times=True)
    client = play.client(MARKET)

    play.on()

    assert data(client)[1]["msg"] == SMALL[1]["event"]["msg"]


def test_long_silence_is_cut_to_five_seconds(tmp_path: Path) -> None:
    lines = [snapshot(0), delta(1000, "0.3000", "1.00", "yes"), delta(61_000, "0.3000", "2.00", "yes")]
    play = Play(write(tmp_path / "a.ndjson", lines))
    client = play.client(MARKET)

    play.on()

    assert play.due_us == [0, 1_000_000, 6_000_000]
    assert data(client)[2]["msg"]["ts_ms"] == NOW_US // 1000 + 6000 - 12


def test_files_are_merged_by_receive_time(tmp_path: Path) -> None:
    write(tmp_path / "b" / "1.jsonl", [snapshot(0, OTHER), delta(300, "0.2000", "5.00", "yes", OTHER)])
    write(tmp_path / "a" / "1.ndjson.gz", [snapshot(100), delta(200, "0.2000", "4.00", "yes")])
    play = Play(tmp_path)
    client = play.client(MARKET, OTHER)

    play.on()

    assert [frame["msg"]["market_ticker"] for frame in data(client)] == [OTHER, MARKET, MARKET, OTHER]


def test_the_clock_starts_with_the_first_order_book_not_with_a_trade_subscription(small: Path) -> None:
    play = Play(small)

    play.client(MARKET, channels=("trade",))
    before = play.replay.has_started
    play.client(MARKET, channels=("orderbook_delta",))

    assert (before, play.replay.has_started) == (False, True)


def test_a_late_subscriber_gets_the_book_so_far_and_then_joins(small: Path) -> None:
    play = Play(small)
    early = play.client(MARKET)
    play.on(4)

    late = play.client(MARKET)
    play.on()

    frames = data(late)
    assert [(frame["type"], frame["seq"]) for frame in frames] == [
        ("orderbook_snapshot", 1), ("orderbook_delta", 2), ("orderbook_delta", 3),
    ]  # fmt: skip
    assert frames[0]["msg"]["yes_dollars_fp"] == [["0.3300", "145.00"], ["0.3400", "24.90"]]
    first, second = rebuilt(data(early)), rebuilt(frames)
    assert (first.yes, first.no) == (second.yes, second.no)


def test_a_market_is_active_until_its_last_frame(tmp_path: Path) -> None:
    lines = [
        snapshot(0),
        snapshot(50, OTHER),
        delta(100, "0.3", "1.00", "yes"),
        trade(200, "0.5000", "1.00", OTHER),
    ]
    play = Play(write(tmp_path / "a.jsonl", lines))
    play.client(MARKET, OTHER)

    play.on(2)
    before = play.market()["status"], play.market(OTHER)["status"]
    play.on(1)
    after = play.market()["status"], play.market(OTHER)["status"]

    assert before == ("active", "active")
    assert after == ("closed", "active")


def test_recorded_metadata_is_shown_without_how_it_ended_and_then_with_it(
    small: Path, tmp_path: Path
) -> None:
    write_metadata(tmp_path / "metadata" / "KXGOLD15M-26AUG102115.json")
    play = Play(small)
    play.client(MARKET)

    before = play.market()
    play.on()
    after = play.market()

    assert (before["status"], before["result"], before["floor_strike"]) == ("active", "", 4409.59)
    assert "settlement_ts" not in before
    # As far from the start as it was recorded: 01:15:00 was 836.056 s after the first frame.
    assert parsed_us(before["close_time"]) == NOW_US + 836_056_000
    assert "liquidity_dollars" not in before
    assert before["settlement_bounds_type"] == "default"
    assert (after["status"], after["result"]) == ("finalized", "yes")
    _, series = play.exchange.rest("/trade-api/v2/series?category=Commodities", now_us=NOW_US)
    assert [each["ticker"] for each in series["series"]] == ["KXGOLD15M"]


def test_acknowledgements_of_the_recorded_connection_are_left_out(tmp_path: Path) -> None:
    ack: Line = {
        "recv_ms": START_MS,
        "event": {"type": "subscribed", "id": 2, "msg": {"channel": "trade", "sid": 1}},
    }
    listed: Line = {
        "recv_ms": START_MS,
        "event": {"type": "ok", "id": 3, "msg": [{"channel": "trade", "sid": 1}]},
    }
    play = Play(write(tmp_path / "a.jsonl", [ack, listed, snapshot(1)]))
    client = play.client(MARKET)

    play.on()

    assert [frame["type"] for frame in data(client)] == ["orderbook_snapshot"]


def test_bare_frames_without_receive_times_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "bare.jsonl"
    path.write_text("\n\n".join(json.dumps(line["event"]) for line in SMALL) + "\n")
    play = Play(path)
    client = play.client(MARKET)

    play.on()

    assert len(data(client)) == len(SMALL)
    assert play.due_us[:3] == [0, 0, 1000]


def test_further_keys_of_a_recorded_frame_are_kept(tmp_path: Path) -> None:
    line = snapshot(0)
    line["event"]["shard"] = {"n": 3}
    line["event"]["sending_ts_ms"] = 5
    play = Play(write(tmp_path / "a.jsonl", [line]))
    client = play.client(MARKET)

    play.on()

    assert data(client)[0]["shard"] == {"n": 3}
    assert data(client)[0]["sending_ts_ms"] == NOW_US // 1000


@pytest.mark.slow
def test_a_real_window_is_told_frame_by_frame_and_its_book_is_right(recordings: Path) -> None:
    ticker = "KXGOLD15M-26AUG101900-00"
    play = Play(recordings / "gold15m" / "events" / ticker)
    client = play.client(ticker)

    play.on()

    frames = data(client)
    files = recording.find([recordings / "gold15m" / "events" / ticker])
    assert timeless([text.decode() for text in client.outbox[2:]]) == timeless(
        ['"msg":' + frame.msg.decode() for frame in recording.read(files)]
    )
    for sid in (1, 2):
        numbers = [frame["seq"] for frame in frames if frame["sid"] == sid]
        assert numbers == list(range(1, len(numbers) + 1))
    book = play.venue.markets[ticker].book
    assert (book.yes, book.no) == (rebuilt(frames).yes, rebuilt(frames).no)
    assert play.market(ticker)["status"] == "finalized"

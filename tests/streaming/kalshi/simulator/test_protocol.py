"""Commands in, frames out: the replies and numbers of kalshi.md 3.2 to 3.5."""

import json
from typing import Any

import pytest

from streaming.kalshi.simulator.exchange import Exchange
from streaming.kalshi.simulator.frames import delta, trade
from streaming.kalshi.simulator.market import Market, event_body, price_fields, series_body
from streaming.kalshi.simulator.protocol import Conversation
from streaming.kalshi.simulator.venue import Venue

NOW_US = 1_786_410_063_944_000
A, B, C = "KXA-26-T72999.99", "KXA-26-B", "KXA-26-C"
Frame = dict[str, Any]


class Talk:
    """One client of an exchange with three markets."""

    def __init__(self) -> None:
        venue = Venue()
        for ticker in (A, B, C):
            market = Market(
                ticker, f"id-{ticker}", "KXA-26", "KXA", price_fields("linear_cent"), status="active"
            )
            event = event_body("KXA-26", series="KXA", title="", category="Crypto")
            venue.list_market(market, event=event, series=series_body("KXA", title="", category="Crypto"))
        venue.markets[A].book.replace({4700: 300}, {4800: 200, 4000: 1050})
        self.exchange = Exchange(venue)
        self.conversation: Conversation = self.exchange.connect()

    def say(self, command: str, command_id: int = 1, **params: Any) -> list[Frame]:
        return self.raw(json.dumps({"id": command_id, "cmd": command, "params": params}))

    def raw(self, text: str) -> list[Frame]:
        self.exchange.receive(self.conversation, text, now_us=NOW_US)
        return self.heard()

    def heard(self) -> list[Frame]:
        texts = list(self.conversation.outbox)
        self.conversation.outbox.clear()
        assert all(text.endswith(b"\n") and list(json.loads(text))[-1] == "sending_ts_ms" for text in texts)
        return [json.loads(text) for text in texts]

    def books(self, *tickers: str, **params: Any) -> list[Frame]:
        return self.say("subscribe", channels=["orderbook_delta"], market_tickers=list(tickers), **params)

    def happens(self, *tickers: str) -> list[Frame]:
        frames = [delta(ticker, f"id-{ticker}", "no", 4800, -40, NOW_US) for ticker in tickers]
        self.exchange.publish(frames, now_us=NOW_US)
        return self.heard()


@pytest.fixture
def talk() -> Talk:
    return Talk()


def errors(frames: list[Frame]) -> list[int]:
    return [frame["msg"]["code"] for frame in frames if frame["type"] == "error"]


def test_each_channel_gets_an_acknowledgement_and_a_sid_of_its_own(talk: Talk) -> None:
    frames = talk.say("subscribe", 7, channels=["ticker", "trade", "market_lifecycle_v2"])

    assert [(each["type"], each["id"], each["msg"]) for each in frames] == [
        ("subscribed", 7, {"channel": "ticker", "sid": 1}),
        ("subscribed", 7, {"channel": "trade", "sid": 2}),
        ("subscribed", 7, {"channel": "market_lifecycle_v2", "sid": 3}),
    ]


def test_the_acknowledgement_comes_first_then_a_snapshot_of_each_book(talk: Talk) -> None:
    acknowledged, first, second = talk.books(A, B)

    assert "seq" not in acknowledged
    assert (first["type"], first["sid"], first["seq"]) == ("orderbook_snapshot", 1, 1)
    assert first["msg"] == {
        "market_ticker": A,
        "market_id": f"id-{A}",
        "yes_dollars_fp": [["0.4700", "3.00"]],
        "no_dollars_fp": [["0.4000", "10.50"], ["0.4800", "2.00"]],
    }
    assert second["seq"] == 2
    assert second["msg"] == {"market_ticker": B, "market_id": f"id-{B}"}


def test_seq_counts_all_markets_of_a_sid_together(talk: Talk) -> None:
    talk.books(A, B)

    assert [(each["sid"], each["seq"]) for each in talk.happens(A, B, C, A)] == [(1, 3), (1, 4), (1, 5)]


def test_a_repeated_subscribe_merges_with_ok_and_the_full_list(talk: Talk) -> None:
    talk.books(A)

    merged, snapshot = talk.say("subscribe", 2, channels=["orderbook_delta"], market_ticker=B)

    assert {key: merged[key] for key in ("type", "id", "sid", "seq", "msg")} == {
        "type": "ok", "id": 2, "sid": 1, "seq": 2, "msg": {"market_tickers": [A, B]},
    }  # fmt: skip
    assert (snapshot["seq"], snapshot["msg"]["market_ticker"]) == (3, B)


def test_ticker_frames_have_no_seq(talk: Talk) -> None:
    _, frame = talk.say("subscribe", channels=["ticker"], market_tickers=[A], send_initial_snapshot=True)

    assert "seq" not in frame
    assert frame["msg"]["yes_bid_dollars"] == "0.4700"
    assert frame["msg"]["yes_ask_dollars"] == "0.5200"
    assert frame["msg"]["yes_ask_size_fp"] == "2.00"


def test_markets_are_added_and_deleted_with_the_full_list_each_time(talk: Talk) -> None:
    talk.books(A)

    added = talk.say("update_subscription", 2, sid=1, action="add_markets", market_tickers=[B, C])
    deleted = talk.say("update_subscription", 3, sids=[1], action="delete_markets", market_ticker=A)

    assert [each["type"] for each in added] == ["ok", "orderbook_snapshot", "orderbook_snapshot"]
    assert added[0]["msg"]["market_tickers"] == [A, B, C]
    assert deleted[0]["msg"]["market_tickers"] == [B, C]
    assert [each["msg"]["market_ticker"] for each in talk.happens(A, B)] == [B]


def test_a_snapshot_that_was_asked_for_carries_the_commands_id(talk: Talk) -> None:
    talk.books(A, B)

    [frame] = talk.say("update_subscription", 127, sids=[1], action="get_snapshot", market_tickers=[A])

    assert (frame["type"], frame["id"], frame["sid"], frame["seq"]) == ("orderbook_snapshot", 127, 1, 3)


def test_the_list_can_be_left_out_of_ok(talk: Talk) -> None:
    talk.books(A, skip_ticker_ack=True)

    [merged, _] = talk.books(B)

    assert "msg" not in merged


def test_no_prices_are_put_on_the_yes_scale_on_request(talk: Talk) -> None:
    _, snapshot = talk.books(A, use_yes_price=True)
    [change] = talk.happens(A)

    assert snapshot["msg"]["no_dollars_fp"] == [["0.6000", "10.50"], ["0.5200", "2.00"]]
    assert snapshot["msg"]["yes_dollars_fp"] == [["0.4700", "3.00"]]
    assert change["msg"]["price_dollars"] == "0.5200"


def test_after_unsubscribing_nothing_is_heard(talk: Talk) -> None:
    talk.books(A)

    [gone] = talk.say("unsubscribe", 102, sids=[1])

    assert (gone["type"], gone["id"], gone["sid"], gone["seq"]) == ("unsubscribed", 102, 1, 2)
    assert talk.happens(A) == []


def test_open_subscriptions_are_listed(talk: Talk) -> None:
    talk.books(A)
    talk.say("subscribe", channels=["ticker"])

    [listed] = talk.raw('{"id":3,"cmd":"list_subscriptions"}')

    assert listed["msg"] == [{"channel": "orderbook_delta", "sid": 1}, {"channel": "ticker", "sid": 2}]


def test_trades_of_all_markets_are_heard_without_tickers(talk: Talk) -> None:
    talk.say("subscribe", channels=["trade"])

    talk.exchange.publish([trade(C, "t-1", "yes", 5200, 913, NOW_US)], now_us=NOW_US)

    [frame] = talk.heard()
    assert (frame["sid"], frame["seq"]) == (1, 1)
    assert (frame["msg"]["count_fp"], frame["msg"]["no_price_dollars"]) == ("9.13", "0.4800")


def test_numbers_start_anew_on_each_connection(talk: Talk) -> None:
    talk.books(A)
    talk.conversation = talk.exchange.connect()

    assert [each.get("seq") for each in talk.books(A)] == [None, 1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("not json", 1),
        ("[1]", 1),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"dance","params":{}}', 5),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[9]}}', 7),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["ticker_v2"]}}', 8),
        (
            '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ticker":"A","market_tickers":["B"]}}',
            11,
        ),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["trade"],"market_ids":["x"]}}', 11),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2],"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
    ],
)
def test_wrong_commands_get_the_exchanges_error_codes(talk: Talk, text: str, code: int) -> None:
    [frame] = talk.raw(text)

    assert errors([frame]) == [code]
    assert frame["msg"]["msg"]


def test_an_error_of_a_subscription_consumes_one_of_its_numbers(talk: Talk) -> None:
    talk.books(A)

    [frame] = talk.say("update_subscription", 5, sid=1, action="dance")

    assert (frame["id"], frame["sid"], frame["seq"], frame["msg"]["code"]) == (5, 1, 2, 13)


def test_id_zero_counts_as_none(talk: Talk) -> None:
    [frame] = talk.say("subscribe", 0, channels=["trade"])

    assert "id" not in frame


def test_a_client_that_reads_too_slowly_loses_its_subscriptions_with_code_25(talk: Talk) -> None:
    talk.books(A)

    talk.conversation.end_subscriptions(25, now_ms=NOW_US // 1000)

    assert errors(talk.heard()) == [25]
    assert talk.happens(A) == []

import json
from typing import Any

import pytest

from streaming import subjects, wire
from streaming.events import Event
from streaming.gateway.fanout import Fanout
from streaming.gateway.live_book import LiveBook
from streaming.gateway.outbox import Outbox


class Bus:
    """A fan-out, what it asked for, and a way to let events arrive."""

    def __init__(self) -> None:
        self.to_load: list[LiveBook] = []
        self.changes = 0
        self.fanout = Fanout(on_load=self.to_load.append, on_changed=self._changed)
        self._seq = 0

    def _changed(self) -> None:
        self.changes += 1

    def arrive(self, *events: Event) -> None:
        for event in events:
            self._seq += 1
            self.fanout.receive(subjects.address("feed", event), self._seq, wire.encode(event))

    def client(self) -> Outbox:
        outbox = Outbox(lambda: None)
        self.fanout.join(outbox)
        return outbox


@pytest.fixture
def bus() -> Bus:
    return Bus()


def got(outbox: Outbox) -> list[Any]:
    return [json.loads(message.text) for message in iter(outbox.take, None)]


def test_a_trade_goes_to_those_who_want_its_market_or_every_market(bus: Bus, make: Any) -> None:
    one, every, other = bus.client(), bus.client(), bus.client()
    bus.fanout.subscribe_trades(one, "A.5")
    bus.fanout.subscribe_trades(every, "*")
    bus.fanout.subscribe_trades(other, "B")

    bus.arrive(make.trade("A.5", 1))

    assert [len(got(outbox)) for outbox in (one, every, other)] == [1, 1, 0]


def test_a_client_that_wants_a_market_twice_gets_each_trade_once(bus: Bus, make: Any) -> None:
    client = bus.client()
    bus.fanout.subscribe_trades(client, "A")
    bus.fanout.subscribe_trades(client, "A")
    bus.fanout.subscribe_trades(client, "*")

    bus.arrive(make.trade("A", 1))

    assert len(got(client)) == 1


def test_what_nobody_wants_is_not_decoded(bus: Bus) -> None:
    bus.fanout.subscribe_trades(bus.client(), "A")

    bus.fanout.receive("feed.trade.B", 1, b"not a message at all")
    assert bus.fanout.undecodable == 0

    bus.fanout.receive("feed.trade.A", 2, b"not a message at all")
    assert bus.fanout.undecodable == 1


def test_changes_read_in_one_go_are_one_message(bus: Bus, make: Any) -> None:
    client = bus.client()
    bus.fanout.subscribe_book(client, "A")
    bus.fanout.loaded(bus.to_load[0], [])
    got(client)

    bus.arrive(make.snapshot("A", 1, bids={4400: 100}), make.delta("A", 2, 4300, 200))
    assert got(client) == []
    bus.fanout.send_changed()

    [book] = got(client)
    assert (book["bids"], bus.changes) == ([[0.44, 1], [0.43, 2]], 1)


def test_a_second_client_of_a_known_book_gets_it_at_once(bus: Bus, make: Any) -> None:
    bus.fanout.subscribe_book(bus.client(), "A")
    bus.fanout.loaded(bus.to_load[0], [(1, make.snapshot("A", 1, bids={4400: 100}))])
    second = bus.client()

    bus.fanout.subscribe_book(second, "A")

    assert [message["type"] for message in got(second)] == ["orderbook"]
    assert len(bus.to_load) == 1


def test_a_book_that_nobody_waits_for_any_more_is_not_loaded(bus: Bus, make: Any) -> None:
    client = bus.client()
    bus.fanout.subscribe_book(client, "A")
    bus.fanout.leave(client)

    assert not bus.fanout.is_followed(bus.to_load[0])
    bus.fanout.loaded(bus.to_load[0], [(1, make.snapshot("A", 1, bids={4400: 100}))])

    assert got(client) == []


def test_a_gap_is_told_to_those_it_concerns(bus: Bus, make: Any) -> None:
    concerned, other = bus.client(), bus.client()
    bus.fanout.subscribe_trades(concerned, "A")
    bus.fanout.subscribe_trades(other, "B")

    bus.arrive(make.gap("A"))
    assert [len(got(outbox)) for outbox in (concerned, other)] == [1, 0]

    bus.arrive(make.gap())
    assert [len(got(outbox)) for outbox in (concerned, other)] == [1, 1]


def test_after_a_gap_the_book_is_said_to_be_unknown(bus: Bus, make: Any) -> None:
    client = bus.client()
    bus.fanout.subscribe_book(client, "A")
    bus.fanout.loaded(bus.to_load[0], [(1, make.snapshot("A", 1, bids={4400: 100}))])
    bus.arrive(make.trade("B", 1))
    got(client)

    bus.arrive(make.gap("A"))
    bus.fanout.send_changed()

    assert sorted(message["type"] for message in got(client)) == ["book_state", "gap"]


def test_a_client_that_left_is_forgotten(bus: Bus, make: Any) -> None:
    client = bus.client()
    bus.fanout.subscribe_trades(client, "*")
    bus.fanout.subscribe_book(client, "A")

    bus.fanout.leave(client)

    bus.arrive(make.trade("A", 1), make.gap())
    assert (got(client), dict(bus.fanout.subscriptions())) == ([], {})


def test_changes_of_the_security_master_name_no_market(bus: Bus) -> None:
    bus.fanout.receive("f.secmaster.status", 1, b"{}")

    assert not bus.fanout.has_seen("status")


def test_markets_that_were_seen_are_known(bus: Bus, make: Any) -> None:
    bus.arrive(make.trade("A-T72999.99", 1))

    assert bus.fanout.has_seen("A-T72999.99")
    assert not bus.fanout.has_seen("A")

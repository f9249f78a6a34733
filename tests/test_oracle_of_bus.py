"""The judge of the bus is judged: every trade that is spoiled on purpose must be found."""

from collections.abc import Callable

import msgspec
import pytest

from streaming.events import GapNotice, TakerSide, Trade
from streaming.kalshi.normalizer import Normalizer
from tests.oracle import Archived
from tests.oracle_input import NOON, SESSION, whole
from tests.oracle_of_bus import judge_order, judge_trades


def published(archive: Archived) -> list[Trade]:
    normalizer = Normalizer(archive.session)
    return [
        event for record in archive.records for event in normalizer.apply(record) if isinstance(event, Trade)
    ]


def test_a_whole_publication_is_faultless() -> None:
    assert len(published(whole())) == 5
    assert judge_trades([whole()], published(whole()), []) == []


BUS_MUTANTS: dict[str, Callable[[list[Trade]], list[Trade]]] = {
    "dropped": lambda trades: trades[1:],
    "doubled": lambda trades: [*trades, trades[0]],
    "doubled under another identity": lambda trades: [*trades, _moved(trades[0], 4)],
    "another price": lambda trades: [msgspec.structs.replace(trades[0], price_e4=5401), *trades[1:]],
    "another size": lambda trades: [msgspec.structs.replace(trades[0], size_e2=911), *trades[1:]],
    "another side": lambda trades: [msgspec.structs.replace(trades[0], side=TakerSide.SELL), *trades[1:]],
    "another ticker": lambda trades: [msgspec.structs.replace(trades[0], ticker="M2"), *trades[1:]],
    "another id": lambda trades: [msgspec.structs.replace(trades[0], trade_id="x"), *trades[1:]],
    "another session": lambda trades: [_of(trades[0], "other"), *trades[1:]],
    "none at all": lambda trades: [],
}


def _moved(one: Trade, n: int) -> Trade:
    return msgspec.structs.replace(one, origin=msgspec.structs.replace(one.origin, n=n))


def _of(one: Trade, name: str) -> Trade:
    return msgspec.structs.replace(one, origin=msgspec.structs.replace(one.origin, session=name))


@pytest.mark.parametrize("mutant", BUS_MUTANTS)
def test_a_changed_publication_is_found(mutant: str) -> None:
    assert judge_trades([whole()], BUS_MUTANTS[mutant](published(whole())), [])


ORDER_MUTANTS: dict[str, Callable[[list[Trade]], list[Trade]]] = {
    "two swapped": lambda trades: [trades[1], trades[0], *trades[2:]],
    "the first comes last": lambda trades: [*trades[1:], trades[0]],
    "one repeated": lambda trades: [*trades, trades[-1]],
    "back to an earlier session": lambda trades: [trades[0], _of(trades[1], "later"), *trades[2:]],
}


def test_order_is_judged_market_by_market() -> None:
    trades = published(whole())
    other = [msgspec.structs.replace(one, ticker="M2") for one in trades]

    assert judge_order([*trades, *other]) == []
    assert judge_order([*trades, *(_of(one, "later") for one in trades)]) == []


@pytest.mark.parametrize("mutant", ORDER_MUTANTS)
def test_a_changed_order_is_found(mutant: str) -> None:
    assert judge_order(ORDER_MUTANTS[mutant](published(whole())))


def notice(first: int, last: int, name: str = SESSION) -> GapNotice:
    return GapNotice("process_crash", name, 14, 0, NOON, None, unpublished=(first, last))


def test_trades_in_the_stated_range_may_be_missing() -> None:
    trades = published(whole())
    last = trades[-1].origin.n

    assert judge_trades([whole()], trades[:-1], [notice(last, last)]) == []
    assert judge_trades([whole()], trades, [notice(last, last)]) == []


def test_trades_outside_the_stated_range_may_not() -> None:
    trades = published(whole())
    last = trades[-1].origin.n

    assert judge_trades([whole()], trades[:-1], [notice(last + 1, last + 5)])
    assert judge_trades([whole()], trades[:-1], [notice(last, last, "another session")])


def test_a_trade_in_the_stated_range_may_still_not_come_twice() -> None:
    trades = published(whole())

    assert judge_trades([whole()], [*trades, trades[-1]], [notice(1, 99)])

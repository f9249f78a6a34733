"""A31, A32, A45: commands that are refused, or not answered."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi import books_due
from streaming.kalshi.pending import Pending
from streaming.kalshi.session import KalshiSession
from tests.faults.a_exchange import GAPS, Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry, quicken
from tests.faults.a_ledger import ledger, unplanned
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@fault("A31")
@pytest.mark.parametrize("code", [26, 0], ids=["error 26", "not a word"])
def test_a_market_that_is_left_out_of_a_subscription_is_a_gap_of_its_own(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch)

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        ticker = min(life.session.connector._board.wanted())
        refusing = life.exchange.fault(do="refuse_tickers", tickers=[ticker], code=code)
        life.fault(do="reset")
        await life.lost(2)
        await life.ready()
        await asyncio.sleep(0.3)
        life.clear(refusing)
        await life.over(2)

    def judge(rig: Rig) -> list[str]:
        missing = [loss.gap.tickers for loss in unplanned(rig.archive()) if loss.gap.cause != "connection_lost"]  # fmt: skip
        return [] if [len(tickers) for tickers in missing] == [1] else [f"missing: {missing}"]

    def off() -> None:
        monkeypatch.setattr(KalshiSession, "_miss", lambda session, tickers: [])

    gaps = ("connection_lost", "subscription_incomplete")
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=GAPS, at_least=2, judge=judge)


UNANSWERED = (
    {"do": "lose_acks", "count": 1}, {"do": "lose_acks", "count": 1, "skip": 3},
    {"do": "lose_commands", "count": 1, "skip": 2}, {"do": "refuse_commands", "code": 18, "count": 1},
)  # fmt: skip


def one_sid_each(rig: Rig) -> list[str]:
    """Wrong where a channel got two numbers on the first connection."""
    opened = [one.about for one in ledger(rig) if one.kind == "subscribed" and one.connection == 1]
    return [] if len(opened) == len(set(opened)) else [f"opened: {opened}"]


@fault("A32")
@pytest.mark.parametrize("order", UNANSWERED, ids=str)
def test_a_command_that_is_not_answered_is_repeated(
    order: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.claim(life.session.capture.is_ready, "it never became ready")

    def off() -> None:
        monkeypatch.setattr(Pending, "repeat_overdue", lambda *facts, **more: None)

    prove_by_living(
        tmp_path, act, off, gaps=(), metric=received("control"), at_least=4, judge=one_sid_each,
        orders=[order],
    )  # fmt: skip


@fault("A32", "A45")
def test_a_command_that_is_never_answered_costs_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.lost()
        life.exchange.trouble.clear(None)
        await life.over()

    def off() -> None:
        monkeypatch.setattr(Pending, "repeat_overdue", lambda *facts, **more: None)

    orders = [{"do": "lose_commands", "cmd": "subscribe"}]
    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=errors("venue"), is_timed=False, orders=orders
    )


MANY = 130


@fault("A45")
def test_every_book_comes_though_later_batches_are_lost_and_answers_out_of_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = (
        {"do": "reorder_acks", "within": 0.05, "for": 2},
        {"do": "lose_commands", "count": 1, "skip": 4, "cmd": "any"},
        {"do": "lose_acks", "count": 1, "skip": 4},
    )

    monkeypatch.setattr(books_due, "WITHIN_NS", 5 * 10**9)

    async def act(life: Life) -> None:
        await life.ready()
        life.claim(life.session.capture.is_ready, "it never became ready")

    def judge(rig: Rig) -> list[str]:
        books = {one.about for one in ledger(rig) if one.kind == "orderbook_snapshot"}
        return one_sid_each(rig) + ([] if len(books) >= MANY else [f"{len(books)} books"])

    def off() -> None:
        monkeypatch.setattr(Pending, "repeat_overdue", lambda *facts, **more: None)

    prove_by_living(
        tmp_path, act, off, gaps=(), metric=received("orderbook"), at_least=MANY, judge=judge,
        exchange={"markets": MANY}, orders=orders,
    )  # fmt: skip

"""A3, A34 to A37, A41: connections that are fed nothing, and markets that come, go and rest."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from streaming.kalshi import capture as kalshi_capture
from streaming.kalshi import market_lister, venue_watch
from streaming.kalshi.audit import BookAudit
from streaming.kalshi.markets import MarketBoard
from streaming.kalshi.session import KalshiSession
from streaming.kalshi.venue_watch import VenueWatch
from tests.faults.a_exchange import GAPS, RECONNECTS, Life, errors, prove_by_living, received
from tests.faults.a_hurry import hurry, quicken
from tests.faults.a_ledger import ledger, unplanned
from tests.faults.capture_rig import Rig
from tests.faults.proof import fault


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


# -- fed nothing ---------------------------------------------------------------------------------------


@fault("A3")
def test_errors_without_end_are_no_sign_that_books_are_fed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch)

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        storm = life.fault(do="errors_only", channel="orderbook_delta", every=0.02)
        await life.lost()
        life.claim(life.count_of(GAPS) > life.gaps_before, "nobody noticed")
        life.clear(storm)
        await life.over()

    def off() -> None:
        """Nobody asks, so that no answer shows what is missing."""
        monkeypatch.setattr(BookAudit, "due", lambda audit, books, now_ns: None)
        monkeypatch.setattr(KalshiSession, "_call_roll", lambda session, now_ns: None)

    gaps = ("sequence_gap",)
    prove_by_living(tmp_path, act, off, gaps=gaps, metric=errors("sequence"), is_distinct=True)


@fault("A41")
@pytest.mark.parametrize("channel", ["trade", "orderbook_delta"])
def test_a_connection_that_stands_and_is_fed_nothing_is_a_stall(
    channel: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch)

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        silence = life.fault(do="silence", channel=channel, numbered=channel == "trade")
        await life.lost()
        life.clear(silence)
        await life.over(2)

    async def unasked(*facts: Any) -> bool:
        return False

    def off() -> None:
        monkeypatch.setattr(BookAudit, "is_in_vain", False)
        monkeypatch.setattr(VenueWatch, "_has_traded", unasked)

    prove_by_living(tmp_path, act, off, gaps=("data_stall", "data_stall"), metric=errors("venue"))


@fault("A41")
def test_a_market_in_which_nothing_happens_is_no_stall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch)

    async def act(life: Life) -> None:
        await life.ready()
        await asyncio.sleep(0.8)

    async def always(*facts: Any) -> bool:
        return True

    def off() -> None:
        monkeypatch.setattr(VenueWatch, "_has_traded", always)

    prove_by_living(
        tmp_path, act, off, gaps=(), metric=received("orderbook"), at_least=4, exchange={"rate": 0.001}
    )


@fault("A36")
@pytest.mark.parametrize(("status", "cause"), [(200, "exchange_paused"), (503, "exchange_outage")])
def test_a_pause_of_the_exchange_is_its_own_and_costs_no_connection(
    status: int, cause: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quicken(monkeypatch)

    async def act(life: Life) -> None:
        await life.ready()
        await life.more()
        before = life.count_of(RECONNECTS)
        pause = life.fault(do="pause_exchange", status=status, resumes_in=600)
        await life.until(lambda: life.count_of(GAPS) - life.gaps_before >= 1)
        await asyncio.sleep(0.4)
        life.claim(life.count_of(RECONNECTS) == before, "it connected anew")
        life.clear(pause)
        life.ended_ns.append(time.time_ns())
        await life.over()

    def judge(rig: Rig) -> list[str]:
        resumes = [loss.gap.detail.get("resumes") for loss in unplanned(rig.archive())]
        return [] if all(resumes) else ["nobody says when it resumes"]

    def off() -> None:
        monkeypatch.setattr(venue_watch, "state_of", lambda status: "")

    prove_by_living(tmp_path, act, off, gaps=(cause,), metric=GAPS, judge=judge)


# -- which markets -------------------------------------------------------------------------------------


@fault("A34")
def test_without_a_single_market_it_waits_and_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        before = life.count_of(received("orderbook"))
        await life.until(lambda: life.count_of(received("orderbook")) - before >= 5)
        life.claim(not life.session.running.done(), "it gave up")

    def off() -> None:
        monkeypatch.setattr(market_lister, "AGAIN_SECONDS", 3600.0)

    orders = [{"do": "empty_rest", "path": "/markets", "for": 0.3}]
    prove_by_living(tmp_path, act, off, gaps=(), metric=received("orderbook"), at_least=5, orders=orders)


@fault("A35")
def test_a_connection_of_several_that_dies_costs_its_own_markets_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.until(lambda: len(life.session.capture._lines) == 5)
        await life.ready()
        life.claim(life.session.capture.is_ready, "it never became ready")
        life.fault(do="reset", connection=4)
        await life.over()

    def judge(rig: Rig) -> list[str]:
        hurt = [len(loss.gap.tickers) for loss in unplanned(rig.archive())]
        return [] if hurt == [10] else [f"so many markets are hurt: {hurt}"]

    def off() -> None:
        monkeypatch.setattr(kalshi_capture.Capture, "_others_with_books", lambda capture, line: False)

    prove_by_living(
        tmp_path, act, off, gaps=("connection_lost",), metric=RECONNECTS, judge=judge,
        exchange={"markets": 40}, config={"books_per_connection": 10},
    )  # fmt: skip


@fault("A35")
def test_books_beyond_all_connections_are_told_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        await life.more()

    def off() -> None:
        monkeypatch.setattr(
            "streaming.kalshi.consequences.Consequences.without_room", lambda *facts, **more: None
        )

    prove_by_living(
        tmp_path, act, off, gaps=("subscription_incomplete",) * 10, metric=GAPS, at_least=10, is_timed=False,
        exchange={"markets": 30}, config={"books_per_connection": 10, "connections": 3},
    )  # fmt: skip


@pytest.mark.slow
@fault("A37")
def test_markets_that_come_and_go_are_followed_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act(life: Life) -> None:
        await life.ready()
        life.exchange.fault(do="roll_over", markets=20, lead=0.1, period=1)
        wanted = life.session.connector._board.wanted
        followed = await life.until(lambda: len(wanted()) >= 20)
        life.claim(followed, "they are not followed")
        life.exchange.fault(do="deactivate", **{"for": 0.1})
        await life.until(lambda: len(set(books(life.rig))) >= 22)
        await life.until(lambda: len(wanted()) <= 3)
        life.claim(len(wanted()) <= 3, f"{len(wanted())} books are still followed")

    def judge(rig: Rig) -> list[str]:
        found = len(set(books(rig)))
        return [] if found >= 22 else [f"{found} books"]

    def off() -> None:
        monkeypatch.setattr(MarketBoard, "learn", lambda board, message: None)

    prove_by_living(tmp_path, act, off, gaps=(), metric=received("lifecycle"), at_least=20, judge=judge)


def books(rig: Rig) -> list[str]:
    """The market of every snapshot that was sent."""
    return [one.about for one in ledger(rig) if one.kind == "orderbook_snapshot"]

"""What an event changes in a market: one table, venue time, and nothing moves backwards."""

from decimal import Decimal
from typing import Any

import pytest

from secmaster.lifecycle import MOVES, STAGE, Told, by_clock, effect, is_late, listed, new_market
from tests.secmaster.told import TICKER, at, created, determined, known, told

# Rows: what is said. Columns: the status before. Cells: the status after, by first letters.
STATUSES = (
    "initialized", "inactive", "active", "closed", "determined", "disputed", "amended", "finalized",
)  # fmt: skip
TABLE = {
    "created":       "initialized inactive active   closed     determined disputed   amended    finalized",
    "open":          "active      active   active   active     determined disputed   amended    finalized",
    "open by_clock": "active      inactive active   active     determined disputed   amended    finalized",
    "halted":        "inactive    inactive inactive closed     determined disputed   amended    finalized",
    "closed":        "closed      closed   closed   closed     determined disputed   amended    finalized",
    "determined":    "determined  determined determined determined determined determined determined finalized",
    "disputed":      "disputed    disputed disputed disputed   disputed   disputed   disputed   finalized",
    "amended":       "amended     amended  amended  amended    amended    amended    amended    finalized",
    "settled":       "finalized   finalized finalized finalized finalized finalized  finalized  finalized",
    "changed":       "initialized inactive active   closed     determined disputed   amended    finalized",
    "unknown":       "initialized inactive active   closed     determined disputed   amended    finalized",
}  # fmt: skip


def after(one: Told, before: dict[str, Any]) -> Any:
    return effect(one, before).get("status", before["status"])


@pytest.mark.parametrize("said", TABLE)
def test_every_event_moves_each_of_the_eight_statuses_as_the_table_says(said: str) -> None:
    kind, _, clock = said.partition(" ")
    one = told(kind, 10, by_clock=bool(clock))

    assert [after(one, known(status=status)) for status in STATUSES] == TABLE[said].split()


def test_the_table_speaks_of_every_status_and_every_event() -> None:
    assert set(STAGE) == set(STATUSES)
    assert set(MOVES) <= set(TABLE)


@pytest.mark.parametrize("kind", ["open", "halted", "closed"])
def test_what_is_older_than_the_status_does_not_change_it(kind: str) -> None:
    active = known(status="active" if kind != "open" else "closed", status_at=at(10))

    assert effect(told(kind, 9), active) == {}
    assert is_late(told(kind, 9), active)
    assert effect(told(kind, 10), active) != {}


def test_an_end_counts_however_late_it_is_heard_of() -> None:
    closed = known(status="closed", status_at=at(10.3))

    changes = effect(determined(10), closed)

    assert (changes["status"], changes["result"]) == ("determined", "yes")
    assert changes["settlement_value"] == Decimal("1.0000")


def test_an_end_is_not_undone_by_what_came_before_it() -> None:
    final = known(status="finalized", status_at=at(20), told_at=at(20), result="yes", settled_at=at(20))

    for one in (told("open", 30, by_clock=True), told("closed", 30), told("halted", 30)):
        assert effect(one, final) == {}


def test_a_result_that_comes_after_the_settlement_fills_what_is_missing_and_replaces_nothing() -> None:
    settled = known(status="finalized", status_at=at(20), told_at=at(20), settled_at=at(20))

    first = effect(determined(15), settled)
    second = effect(determined(30, result="no"), {**settled, **first})

    assert (first["result"], first.get("status")) == ("yes", None)
    assert second == {}


def test_a_newer_result_replaces_an_older_one() -> None:
    decided = known(status="determined", status_at=at(10), result="yes", settlement_value=Decimal(1))

    assert effect(determined(12, result="no"), decided)["result"] == "no"
    assert effect(determined(8, result="no"), decided) == {}


def test_the_same_event_twice_changes_nothing_the_second_time() -> None:
    for one in (created(), told("open", 61, by_clock=True), determined(365), told("settled", 370)):
        before = known(status="closed" if one.kind == "settled" else "initialized")
        again = {**before, **effect(one, before)}
        assert effect(one, again) == {}


def test_a_closing_time_is_moved_by_the_newer_word() -> None:
    market = known(status="active", close_time=at(360), told_at=at(50))

    assert effect(told("changed", 60, close_time=at(100)), market)["close_time"] == at(100)
    assert effect(told("changed", 40, close_time=at(100)), market) == {}


def test_a_market_whose_closing_is_put_off_opens_again_by_the_clock() -> None:
    market = known(status="closed", status_at=at(360))

    assert after(told("open", 365, by_clock=True), market) == "active"


def test_a_halt_is_not_ended_by_the_clock() -> None:
    assert after(told("open", 60, by_clock=True), known(status="inactive", status_at=at(1))) == "inactive"


def test_the_clocks_word_counts_from_when_it_was_given() -> None:
    # The closing was moved into the past: its nominal time is older than the status.
    moved = told("closed", 100, by_clock=True, said_at=at(5))

    assert after(moved, known(status="active", status_at=at(60))) == "closed"


def test_a_created_event_makes_the_whole_row() -> None:
    row = new_market(created(floor_strike=4414.4, expected_expiration_ts=1_786_450_000))

    assert row is not None
    assert (row["status"], row["event_ticker"], row["series_ticker"]) == (
        "initialized",
        "KXGOLD15M-26AUG102130",
        "KXGOLD15M",
    )
    assert (row["title"], str(row["floor_strike"])) == ("Gold up?", "4414.40000000")
    assert (row["open_time"], row["close_time"]) == (at(60), at(360))
    assert row["raw_metadata"]["price_level_structure"] == "deci_cent"


def test_an_event_of_a_market_that_nobody_knew_makes_a_row_by_its_ticker() -> None:
    row = new_market(told("open", 61, by_clock=True))

    assert row is not None
    assert (row["status"], row["title"], row["event_ticker"]) == ("active", TICKER, "KXGOLD15M-26AUG102130")


@pytest.mark.parametrize("kind", ["changed", "unknown"])
def test_what_says_no_status_makes_no_row(kind: str) -> None:
    assert new_market(told(kind)) is None


def test_new_metadata_is_added_to_the_description() -> None:
    market = known(status="initialized", raw_metadata={"rules_primary": "If gold"})
    details = {"event_type": "metadata_updated", "market_ticker": TICKER, "floor_strike": 79800.71}

    changes = effect(told("changed", details=details), market)

    assert str(changes["floor_strike"]) == "79800.71000000"
    assert changes["raw_metadata"] == {"rules_primary": "If gold", "floor_strike": 79800.71}


@pytest.mark.parametrize("floor", ["no number", 10**40, True, None, float("nan"), [1]])
def test_a_strike_that_is_none_spoils_nothing_else(floor: Any) -> None:
    row = new_market(created(floor_strike=floor, expected_expiration_ts=10**30, title=None))

    assert row is not None and row["floor_strike"] is None


def test_rest_does_not_overrule_what_an_event_just_said() -> None:
    market = known(status="determined", told_at=at(0), close_time=at(0), result="yes")
    behind = {"status": "closed", "close_time": at(900), "result": None, "title": "Gold"}

    new = listed(behind, market, at(30))

    assert new == {"title": "Gold"}


def test_rest_goes_ahead_of_events_and_overrules_them_in_the_end() -> None:
    market = known(status="active", told_at=at(0))

    assert listed({"status": "finalized"}, market, at(30))["status"] == "finalized"
    assert listed({"status": "inactive"}, market, at(30)) == {}
    assert listed({"status": "inactive"}, market, at(61)) == {"status": "inactive", "status_at": at(1)}


def test_a_category_is_not_lost_to_an_answer_without_one() -> None:
    assert "category" not in listed({"status": "active", "category": None}, known(status="active"), at(0))


def test_markets_open_and_close_by_their_own_times() -> None:
    market = known(open_time=at(60), close_time=at(360))

    assert by_clock(market, at(59)) == ("initialized", None)
    assert by_clock(market, at(60)) == ("active", at(60))
    assert by_clock({**market, "status": "active"}, at(360)) == ("closed", at(360))
    assert by_clock({**market, "status": "determined"}, at(360)) == ("determined", None)


def test_a_market_that_is_active_after_its_closing_time_stays_so() -> None:
    kept_open = known(status="active", close_time=at(360), status_at=at(400))

    assert by_clock(kept_open, at(500)) == ("active", None)

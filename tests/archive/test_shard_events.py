"""The events of a day by shards of its tickers: the same from one shard and from several, whatever was received."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archive.plan import plan_day
from archive.seal import Archive, seal_day
from archive.seal_manifest import DayManifest
from archive.seal_sums import quality_of
from archive.shard_events import ShardEvents
from streaming import marks
from streaming.kalshi.normalizer_state import NormalizerState
from tests.archive.days import DAY, ENVIRONMENT, FEED, NOON, START, add_session, archive_in, records
from tests.streaming.kalshi.frames import delta, frame, lifecycle, snapshot, trade

OVER = NOON + 86_400 * 10**9
ONE, TWO = "kalshi-sim-20251214T120000Z-000001", "kalshi-sim-20251214T130000Z-000002"
END = marks.SessionEnd("stopped")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archive_in(tmp_path)


def sealed(archive: Archive, *frames: bytes) -> DayManifest:
    add_session(archive.raw, ONE, records([START, *frames, END]))
    return seal_day(archive, DAY, now_ns=OVER)


_OF_DAY = (
    "wire_drift",
    "time_skew",
)  # the frames are of another day's wire than the one they are recorded on


def counts(manifest: DayManifest) -> dict[str, int]:
    return {one.issue: one.count for one in manifest.quality if one.issue not in _OF_DAY}


@pytest.mark.parametrize("value", ["999999999999999.9999", 10**15 - 1])
def test_a_settlement_that_no_contract_has_costs_its_value_not_the_day(
    archive: Archive, value: object
) -> None:
    manifest = sealed(archive, lifecycle("M1", "determined", 1, settlement_value=value))

    assert (manifest.events, counts(manifest)) == ({"status": 1}, {"off_grid_price": 1})


def test_a_level_that_grows_without_end_costs_its_book_not_the_day(archive: Archive) -> None:
    most = "999999999999999.99"

    manifest = sealed(archive, snapshot("M1", 1), *(delta("M1", n, change=most) for n in range(2, 200)))

    assert (manifest.events["orderbook"], counts(manifest)) == (1 + 1 + 198, {"parse_error": 1})


def test_an_event_that_cannot_be_stored_costs_itself_not_the_day(archive: Archive) -> None:
    found = list(records([START, trade("M1", 1), trade("M1", 2), END]))
    odd = [found[0], found[1]._replace(connection=2**33), *found[2:]]
    add_session(archive.raw, ONE, iter(odd))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    assert (manifest.events, counts(manifest)) == ({"trade": 1}, {"parse_error": 1})
    assert [shard.unmappable for shard in manifest.shards] == [1]


def test_what_was_wrong_is_counted_for_each_session(archive: Archive) -> None:
    sound, spoiled = trade("M1", 1), [trade("M1", n, trade_id=7) for n in (2, 3)]
    add_session(archive.raw, ONE, records([START, sound, spoiled[0], END]))
    add_session(archive.raw, TWO, records([START, sound, *spoiled, END], at_ns=NOON + 3_600 * 10**9))

    manifest = seal_day(archive, DAY, now_ns=OVER)

    counted = [(one.session, one.count, one.n) for one in manifest.quality if one.issue == "parse_error"]
    assert counted == [(ONE, 1, 3), (TWO, 2, 3)]


# -- by several shards ---------------------------------------------------------------------------------

TICKERS = ["M1", "M2", "KXBTC-1", "KXETH-22", "INXD-25-B4000", "AAPL"]  # of all four shards
ODD_NUMBERS = ["7", 2**63, 2**62, -1, 1.0, None, True, 1, 2, 1000]
_numbers = st.one_of(st.just("next"), st.just("next"), st.just("next"), st.sampled_from(ODD_NUMBERS))


def hostile(draw: st.DrawFn, seq: int) -> bytes:
    """One frame, sound or not in any of the ways that a shard might take otherwise than another."""
    ticker, number = draw(st.sampled_from(TICKERS)), draw(_numbers)
    given: Any = seq if number == "next" else number
    body: dict[str, Any] = {"market_ticker": ticker, "side": "yes", "price": 40, "delta": 1}
    kind = draw(st.sampled_from(["delta"] * 6 + list(HOSTILE)))
    if kind == "delta":
        body["delta"] = draw(st.sampled_from([1, 1, -1, -100_000]))
        return frame("orderbook_delta", seq=given, msg=body)
    return HOSTILE[kind](ticker, given, body)


HOSTILE: dict[str, Callable[[str, Any, dict[str, Any]], bytes]] = {
    "snapshot": lambda ticker, seq, _: frame(
        "orderbook_snapshot", seq=seq, msg={"market_ticker": ticker, "yes": [[40, 500]]}
    ),
    "trade": lambda ticker, seq, _: trade(ticker, seq, sid=2),
    "trade of a bad id": lambda ticker, seq, _: trade(ticker, seq, sid=2, trade_id=7),
    "settled": lambda ticker, seq, _: lifecycle(ticker, "settled", seq),
    "off the grid": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg={**body, "price": 200}),
    "no side": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg={**body, "side": 5}),
    "a sid as text": lambda _, seq, body: frame("orderbook_delta", sid="1", seq=seq, msg=body),  # type: ignore[arg-type]
    "an id as text": lambda _, seq, body: frame("orderbook_delta", seq=seq, id="x", msg=body),
    "a sent time as text": lambda _, seq, body: frame("orderbook_delta", seq=seq, sending_ts_ms="q", msg=body),
    "unknown type": lambda ticker, seq, _: frame("brand_new", seq=seq, msg={"market_ticker": ticker}),
    "no type": lambda _, seq, body: frame("x", seq=seq, msg=body).replace(b'"type"', b'"kind"'),
    "torn": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg=body)[:-9],
    "no UTF-8": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg={**body, "side": "~"}).replace(b"~", b"\xff"),
    "half a character": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg={**body, "side": "\ud800"}),
    "half a ticker": lambda ticker, seq, body: frame("orderbook_delta", seq=seq, msg={**body, "market_ticker": ticker + "\ud800"}),
    "a market in a market": lambda ticker, seq, _: frame("orderbook_delta", seq=seq, msg={"x": {"market_ticker": ticker}}),
    "a list": lambda _, seq, body: frame("orderbook_snapshot", seq=seq, msg=[body]),
    "two markets": lambda ticker, seq, body: frame("orderbook_delta", seq=seq, msg=body).replace(
        b'"side"', b'"market_ticker": "M1", "side"'
    ),
    "a ticker written otherwise": lambda ticker, seq, body: frame("orderbook_delta", seq=seq, msg=body).replace(
        b'"side"', b'"market\\u005fticker": "M1", "side"'
    ),
    "two types": lambda _, seq, body: frame("orderbook_delta", seq=seq, msg=body).replace(
        b'"sid"', b'"type": "trade", "sid"'
    ),
}  # fmt: skip


@st.composite
def hostile_frames(draw: st.DrawFn) -> list[bytes]:
    books = [snapshot(ticker, seq) for seq, ticker in enumerate(TICKERS, 1)]
    first = len(TICKERS) + 1
    return books + [hostile(draw, seq) for seq in range(first, first + draw(st.integers(1, 30)))]


def by_shards(folder: Path, frames: list[bytes], shards: int) -> Any:
    """All that a day's shards say together: the events, what was wrong, how many frames were lost, the books."""
    archive = archive_in(folder)
    add_session(archive.raw, ONE, records([START, *frames]))
    plan, _ = plan_day(archive.raw, FEED, ENVIRONMENT, DAY, now_ns=OVER)
    plan = msgspec.structs.replace(plan, shards=shards)
    all_of_them = [ShardEvents(archive.raw, plan, None, shard) for shard in range(shards)]
    events = sorted(event for shard in all_of_them for event in shard)
    issues = quality_of(one for shard in all_of_them for one in shard.quality.values())
    states = [msgspec.msgpack.decode(shard.carried()[ONE][1], type=NormalizerState) for shard in all_of_them]
    books = sorted((market for state in states for market in state.markets), key=lambda market: market.ticker)
    assert all(state.connections == states[0].connections for state in states)
    return events, issues, sum(shard.unmappable for shard in all_of_them), books


@settings(max_examples=10, deadline=None)
@given(frames=hostile_frames())
def test_four_shards_make_what_one_makes_of_hostile_frames(frames: list[bytes]) -> None:
    with TemporaryDirectory() as folder:
        one, four = (by_shards(Path(folder) / str(shards), frames, shards) for shards in (1, 4))

    assert four == one


@pytest.mark.parametrize("kind", [*HOSTILE])
def test_a_hostile_frame_is_counted_once_by_four_shards_too(tmp_path: Path, kind: str) -> None:
    books = [snapshot(ticker, seq) for seq, ticker in enumerate(TICKERS, 1)]
    body = {"market_ticker": "M2", "side": "yes", "price": 40, "delta": 1}
    odd = [HOSTILE[kind]("M2", seq, body) for seq in (7, 2**63)]
    frames = [*books, *odd, *(delta(ticker, seq) for seq, ticker in enumerate(TICKERS, 8))]

    one, four = (by_shards(tmp_path / str(shards), frames, shards) for shards in (1, 4))

    assert four == one

"""Two connectors of one environment, each with its own order books: together they record what one would."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from streaming import marks
from streaming.kalshi.shards import Shard
from streaming.records import Kind
from tests.end_to_end.system import ENVIRONMENT, SSMD, System, system
from tests.oracle import Archived, judge_archive
from tests.running import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path / "home") as one:
        yield one


def frames(session: Archived) -> list[dict[str, object]]:
    return [json.loads(record.payload) for record in session.records if record.kind == Kind.TEXT]


def test_two_connectors_share_the_order_books_and_the_first_takes_the_rest(running: System) -> None:
    running.start_exchange("--markets", "12", "--rate", "300", "--incidents", "0")
    running.start_shipper()
    for index in (1, 2):
        running.start(f"c{index}", SSMD, "connector", "start", "--env", ENVIRONMENT, "--shard", f"{index}/2")
    for index in (1, 2):
        until(lambda name=f"c{index}": running.log(name).count('"msg": "ready"') == 2, seconds=30, what="both lines are ready")  # type: ignore[misc]  # fmt: skip
    begun = len(running.sent())
    until(lambda: len(running.sent()) > begun + 600, seconds=30, what="both record")
    for name in ("c1", "c2"):
        assert running.stop(name) == 0
    running.stop("exchange")
    running.stop("shipper")

    archive = running.archive()

    assert judge_archive(running.sent(), archive).faults == []
    by_shard = {_shard(session): frames(session) for session in archive}
    assert by_shard.keys() == {"1/2", "2/2"}
    kinds = {shard: {frame["type"] for frame in told} for shard, told in by_shard.items()}
    assert "trade" in kinds["1/2"]
    assert not {"trade", "ticker"} & kinds["2/2"]
    for index in (1, 2):
        books = {
            str(frame["msg"]["market_ticker"])  # type: ignore[index]
            for frame in by_shard[f"{index}/2"]
            if frame["type"] == "orderbook_snapshot"
        }
        assert books
        assert all(Shard(index, 2).owns(ticker) for ticker in books)


def _shard(session: Archived) -> str:
    started = marks.decode(session.records[0].payload)
    assert isinstance(started, marks.SessionStart)
    return started.shard

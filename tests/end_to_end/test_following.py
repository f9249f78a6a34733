"""A market's whole life, from the simulated exchange through the bus into the security master and back onto the bus."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import ConsumerConfig

from tests.end_to_end.system import FEED, SSMD, STREAM, System, system
from tests.running import until

pytestmark = [pytest.mark.soak(minutes=1), pytest.mark.timeout(180)]

# The exchange's own life, with windows of four seconds instead of five minutes.
BRISK = """
import sys
from ssmd.cli.main import run
from streaming.kalshi.simulator import life
life.AHEAD_US = 1_000_000
life.RandomLife.__init__.__kwdefaults__["period_us"] = 4_000_000
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[System]:
    with system(tmp_path / "home") as one:
        keys = one.home / "secrets" / "kalshi-sim-creds"
        key = ("--key-id", (keys / "api_key").read_text().strip(), "--public-key", str(keys / "public_key"))
        words = ("exchange", "start", "--port", str(one.exchange_port), *key)
        one.start("exchange", sys.executable, "-c", BRISK, *words)
        until(lambda: one.ssmd("market", "sync").returncode == 0, seconds=60, what="the exchange answers")
        yield one


def markets(one: System) -> dict[str, dict[str, Any]]:
    done = one.ssmd("market", "list", "--limit", "1000", "--json")
    return {row["ticker"]: row for row in json.loads(done.stdout)["data"]}


def published(one: System) -> list[dict[str, Any]]:
    """Every change on the bus, with its subject."""

    async def read() -> list[dict[str, Any]]:
        client = await nats.connect(f"nats://127.0.0.1:{one.nats_port}")
        config = ConsumerConfig(ack_policy="none", inactive_threshold=5)
        js = client.jetstream()
        puller = await js.pull_subscribe(f"{FEED}.secmaster.*", stream=STREAM, config=config)
        pending = (await puller.consumer_info()).num_pending or 0
        messages = await puller.fetch(pending, timeout=10) if pending else []
        await client.close()
        return [{"subject": message.subject, **json.loads(message.data)} for message in messages]

    return asyncio.run(read())


def test_a_market_that_no_sync_has_seen_is_followed_to_its_settlement(running: System) -> None:
    running.start_connector()
    running.start("follower", SSMD, "market", "follow", "--env", "demo")
    running.wait_until_captured()
    until(lambda: '"following"' in running.log("follower"), what="the follower reads")
    before = set(markets(running))

    found: list[str] = []

    def is_announced() -> bool:
        rows = markets(running).values()
        found.extend(row["ticker"] for row in rows if row["status"] == "initialized")
        found[:] = [ticker for ticker in found if ticker not in before]
        return bool(found)

    until(is_announced, seconds=40, what="a new market is known")
    ticker = found[0]
    until(lambda: markets(running)[ticker]["status"] == "finalized", seconds=60, what=f"{ticker} is settled")
    settled_at = time.time()
    assert running.stop("follower") == 0
    drained = running.ssmd("market", "follow", "--once")
    assert drained.returncode == 0, drained.stdout + drained.stderr

    market = json.loads(running.ssmd("market", "show", ticker, "--json").stdout)["data"]
    assert market["result"] in ("yes", "no")
    assert market["settlement_value"] == (1 if market["result"] == "yes" else 0)
    assert market["category"], "the look-up completed it"
    # Within seconds of its announcement, and of its settlement.
    announced = datetime.fromisoformat(market["raw_metadata"]["created_time"])
    assert (datetime.fromisoformat(market["created_at"]) - announced).total_seconds() < 10
    assert settled_at - datetime.fromisoformat(market["settled_at"]).timestamp() < 30

    statuses = [one["new_value"] for one in market["changes"] if one["field_name"] == "status"]
    assert statuses == ["finalized", "determined", "closed", "active"]
    of_market = [one for one in published(running) if one["ticker"] == ticker]
    assert [one["id"] for one in of_market] == sorted({one["id"] for one in of_market})
    assert of_market[0]["subject"] == f"{FEED}.secmaster.created"
    told = [one["market"]["status"] for one in of_market if one["subject"] == f"{FEED}.secmaster.status"]
    assert told == ["active", "closed", "determined", "finalized"]
    assert all(one["cause"].startswith(f"{FEED}-") for one in of_market if one["change"] == "status")

"""What the ledger says is what the oracle judges by: a loss that could be known must be owned up to, another need not be."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from streaming import marks
from streaming.records import Kind, Record
from tests.oracle import Archived, judge_archive, read_ledger
from tests.streaming.kalshi.simulator.conftest import Serving
from tests.streaming.kalshi.simulator.test_server import dial, subscribe

NOON = 1_765_713_600_000_000_000


async def received(serving: Serving, ledger: Path, order: dict[str, Any]) -> list[bytes]:
    """What a client gets while a fault strikes."""
    frames: list[bytes] = []
    async with serving(ledger=ledger, rate=2000) as service, dial(service) as client:
        await subscribe(client, "trade", "ticker")
        while len(frames) < 30:
            frames.append(await client.recv(decode=False))
        service.fault(**order)
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(0.3):
                while True:
                    frames.append(await client.recv(decode=False))
        client.transport.abort()
    return frames


def archived(frames: list[bytes], gap_after: int | None = None) -> Archived:
    """An archive of these frames, with a gap mark behind one of them or without."""
    items: list[bytes | marks.Mark] = [*frames]
    if gap_after is not None:
        gap = marks.GapOpen(cause="sequence_gap", connection=1, from_ns=NOON, after_n=gap_after)
        items.insert(gap_after + 1, gap)
    records = [
        Record(
            n, NOON + n, 1, Kind.TEXT if isinstance(one, bytes) else Kind.MARK,
            one if isinstance(one, bytes) else marks.encode(one),
        )
        for n, one in enumerate(items, 1)
    ]  # fmt: skip
    return Archived("kalshi-sim-1", records)


def lost_after(sent: list[bytes], frames: list[bytes]) -> int:
    """Behind which received frame the hole begins."""
    return next(n for n, (one, other) in enumerate(zip(sent, frames, strict=False)) if one != other)


@pytest.mark.parametrize(
    "order",
    [
        {"do": "skip_seq", "count": 2},
        {"do": "half_open"},
        {"do": "cut_frame", "bytes": 30},
        {"do": "silence", "channel": "trade", "for": 0.1},
        {"do": "pad_frame", "bytes": 2**21, "channel": "trade"},
    ],
    ids=lambda order: str(order["do"]),
)
async def test_a_loss_that_shows_must_be_owned_up_to(
    serving: Serving, tmp_path: Path, order: dict[str, Any]
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    frames = await received(serving, ledger, order)
    sent = read_ledger(ledger)

    assert len(sent) > len(frames)
    assert judge_archive(sent, [archived(frames)]).faults
    at = lost_after([one.frame for one in sent] + [b""], [*frames, b"-"])
    covered = judge_archive(sent, [archived(frames, gap_after=at)])
    assert not any("nothing says so" in fault and f".{at} " in fault for fault in covered.faults)


@pytest.mark.parametrize(
    "order",
    [
        {"do": "lose_tickers"},
        {"do": "silence", "numbered": False, "channel": "trade"},
        {"do": "duplicate", "count": 5},
        {"do": "swap", "count": 5},
        {"do": "reset_seq"},
        {"do": "late_burst", "for": 0.1},
        {"do": "unknown_field"},
        {"do": "malformed", "how": "random", "count": 20},
        {"do": "old_format"},
    ],
    ids=lambda order: str(order["do"]),
)
async def test_what_leaves_no_trace_or_loses_nothing_asks_for_no_gap(
    serving: Serving, tmp_path: Path, order: dict[str, Any]
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    frames = await received(serving, ledger, order)
    sent = [one.frame for one in read_ledger(ledger)]

    assert frames == sent[: len(frames)]
    assert len(sent) - len(frames) < 400, "what was on the way when the client left, and no more"
    assert json.loads(frames[0])["type"] == "subscribed"

"""C: the bus is slow, forgets identities too soon, or takes messages in another order."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive import normalized_read
from archive.normalized_read import Row, read_events
from archive.store import DirectoryStore
from streaming import pace, transport
from streaming.events import Event, Trade
from streaming.outbox import Outbox, _Message
from streaming.pace import Pace
from tests.archive.bus import archive_all
from tests.faults.bus_faults import ANY, PUBLISHED, REPEATS, Act, Off, proven
from tests.faults.capture_rig import gaps_of
from tests.faults.lossy_bus import STEP, Life, finish, life
from tests.faults.proof import Outcome, fault, prove, watched
from tests.oracle_of_bus import judge_order, judge_trades

STEPS = 10


async def _slowly(one: Life) -> Sequence[str]:
    """A far, narrow way: a window's worth takes longer than an answer may take."""
    await one.step()
    for way in one.proxy.ways:
        way.delay_seconds = way.jitter_seconds = 0.02
    one.proxy.to_server.bytes_per_second = 180_000
    for _ in range(STEPS):
        await one.step(is_published=False)
    await one.settle()
    again = one.publisher._outbox.repeated if one.publisher._outbox else 0
    return [f"{again} messages were sent again"] if again > STEP else []


@fault("C6")
@pytest.mark.slow
def test_a_slow_bus_is_not_sent_everything_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_the_clock(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(Pace, "lost_before", lambda self, now: now - pace.ACK_WITHIN_SECONDS)
        patched.setattr(Pace, "answered", lambda self, sent_at, now: None)

    proven(
        tmp_path,
        _slowly,
        metric=PUBLISHED,
        at_least=STEP * STEPS,
        off=by_the_clock,
        monkeypatch=monkeypatch,
        is_proxied=True,
    )


async def _archived(one: Life) -> list[Event]:
    """What the archiver made of the stream."""
    store = DirectoryStore(one.home / "normalized")
    await archive_all(one.server.url, store, feed=one.feed, stream=one.spec.name, environment="capture")
    today = datetime.now(UTC).date()
    return [event for on in (today - timedelta(days=1), today) for event in read_events(store, one.feed, on)]


async def _stored_twice(one: Life) -> Sequence[str]:
    """The answers are lost, and the bus stays away until it has forgotten what it stored."""
    await one.step()
    one.proxy.to_client.is_swallowing = True
    await one.step(is_published=False)
    await asyncio.sleep(0.15)
    await one.proxy.refuse()
    await one.proxy.cut()
    one.proxy.to_client.is_swallowing = False
    await asyncio.sleep(0.25)
    await one.proxy.accept()
    await one.settle()
    trades = [event for event in await one.events() if isinstance(event, Trade)]
    return [] if len(trades) > STEP else ["nothing was stored twice: this fault did not happen"]


async def _lost_at_first(one: Life) -> Sequence[str]:
    """Some messages do not arrive, those after them do: the stream has them in another order."""
    for _ in range(5):
        await one.step(is_published=False)
    await one.settle()
    order = judge_order(await one.events())
    return [] if order else ["all came in order: this fault did not happen"]


def proven_archived(
    home: Path, act: Act, off: Off, monkeypatch: pytest.MonkeyPatch, *, metric: str
) -> Outcome:
    """Judged is what the archiver made of the stream: each event once, in the order of the records."""

    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched:
            patched.setattr(pace, "ACK_WITHIN_SECONDS", 0.3)
            if not is_handled:
                off(patched)
            return asyncio.run(_archived_once(home / str(is_handled), act))

    return prove(scenario, gaps=(), metric=metric)


async def _archived_once(home: Path, act: Act) -> Outcome:
    async with life(home, is_proxied=True) as one:
        with watched() as risen:
            also = await act(one)
            await finish(one)
        events, archive = await _archived(one), await asyncio.to_thread(one.archive)
    trades = [event for event in events if isinstance(event, Trade)]
    faults = [*judge_trades(archive, trades, []), *judge_order(events)]
    any_feed = {key.replace(one.feed, ANY): rise for key, rise in risen.items()}
    return Outcome(gaps_of(archive), any_feed, tuple(faults), tuple(also))


@fault("C5")
@pytest.mark.slow
def test_what_the_bus_stored_twice_is_archived_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def every_row(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(normalized_read, "_distinct", iter)

    monkeypatch.setattr(transport, "DEDUPE_SECONDS", 0.2)
    proven_archived(tmp_path, _stored_twice, every_row, monkeypatch, metric=REPEATS)


@fault("C17")
@pytest.mark.slow
def test_what_the_bus_has_in_another_order_is_archived_in_the_order_of_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, chance, seen = Outbox._send, random.Random(17), set[str]()

    async def lossy(outbox: Outbox, token: int, message: _Message) -> None:
        is_first = message.identity not in seen
        seen.add(message.identity)
        if not is_first or chance.random() > 0.1:
            await send(outbox, token, message)

    def as_they_came(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(Row, "__lt__", lambda self, other: False)
        seen.clear()

    monkeypatch.setattr(Outbox, "_send", lossy)
    proven_archived(tmp_path, _lost_at_first, as_they_came, monkeypatch, metric=REPEATS)

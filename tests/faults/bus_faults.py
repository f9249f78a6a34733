"""One way through all faults of the bus: a session whose bus is hurt, and the same without the handling."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from streaming import pace, publisher
from streaming.outbox import Outbox, _Message
from tests.faults.lossy_bus import Life, finish, life
from tests.faults.proof import Outcome, prove, watched

# Lives through the fault; what else it finds wrong.
Act = Callable[[Life], Awaitable[Sequence[str]]]
Off = Callable[[pytest.MonkeyPatch], None]
ANY = "any"  # the feed's name in a metric's labels
PUBLISHED = 'ssmd_connector_messages_published_total{feed="any"}'
REPEATS = 'ssmd_connector_bus_repeats_total{feed="any"}'


def refusals(reason: str) -> str:
    """The metric of one kind of refusal."""
    return f'ssmd_connector_bus_refusals_total{{feed="any",reason="{reason}"}}'


def proven(
    home: Path,
    act: Act,
    *,
    metric: str,
    off: Off,
    monkeypatch: pytest.MonkeyPatch,
    gaps: tuple[str, ...] = (),
    at_least: float = 1,
    **options: Any,
) -> Outcome:
    """`act` with the handling, where all must hold, and without; `off` takes the handling away."""

    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched:
            # The same at a pace that a test can wait for.
            patched.setattr(pace, "ACK_WITHIN_SECONDS", 0.3)
            patched.setattr(publisher, "MEND_EVERY_SECONDS", 0.2)
            patched.setattr(publisher, "DRAIN_SECONDS", 0.5)
            if not is_handled:
                off(patched)
            return asyncio.run(_lived(home / str(is_handled), act, is_handled, options))

    return prove(scenario, gaps=gaps, metric=metric, at_least=at_least)


async def _lived(home: Path, act: Act, is_handled: bool, options: dict[str, Any]) -> Outcome:
    async with life(home, **options) as one:
        one.patience = 15 if is_handled else 1.5
        with watched() as risen:
            also = await act(one)
            await finish(one)
        return await one.outcome({key.replace(one.feed, ANY): rise for key, rise in risen.items()}, *also)


async def until(holds: Callable[[], object], *, seconds: float = 8) -> bool:
    """Whether it comes true in time."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def _forget(outbox: Outbox, messages: Sequence[tuple[int, _Message]]) -> None:
    """An outbox that takes for stored what it once sent."""
    outbox._waiting.clear()


def forget(patched: pytest.MonkeyPatch) -> None:
    """Take the repeating away."""
    patched.setattr(Outbox, "_repeat", _forget)

"""D: the bus's disk is damaged or full, its stream is rerouted."""

import asyncio
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from nats.errors import Error as NatsError
from nats.js.api import StreamSource, SubjectTransform

from streaming import publisher, transport
from streaming.outbox import Outbox
from streaming.store_watch import StoreWatch
from tests.faults.bus_faults import proven, refusals
from tests.faults.bus_starts import SPEC, not_refused, of_any
from tests.faults.lossy_bus import HardNats, Life
from tests.faults.proof import Outcome, fault, prove, watched
from tests.faults.test_d_restored_bus import HOLES


async def _no_look(watch: StoreWatch, client: object) -> None:
    """A publisher that trusts every ack for ever."""


async def _half_a_block(one: Life) -> Sequence[str]:
    """From the middle on, nothing in the block of messages is what it was."""
    for _ in range(3):
        await one.step()
    await one.stop_bus()
    block = max((one.home / "nats").rglob("*.blk"), key=lambda path: path.stat().st_size)
    data = block.read_bytes()
    middle = len(data) // 2
    block.write_bytes(data[:middle] + bytes(byte ^ 0xFF for byte in data[middle:]))
    await one.start_bus()
    await one.step()
    await one.until_marked(seconds=one.patience / 2)
    await one.step()
    return ()


@fault("D5")
@pytest.mark.slow
def test_a_damaged_block_of_the_bus_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LOOK_EVERY_SECONDS", 0.3)
    proven(
        tmp_path,
        _half_a_block,
        gaps=("stream_hole",),
        metric=HOLES.format("rolled back"),
        off=lambda patched: patched.setattr(StoreWatch, "look", _no_look),
        monkeypatch=monkeypatch,
    )


async def _no_room(one: Life) -> Sequence[str]:
    """Somebody else's stream fills the server's store; later it is emptied."""
    await one.step()
    async with one.operator() as js:
        await js.add_stream(name="filler", subjects=["filler"])
        with pytest.raises(NatsError):
            while True:
                await js.publish("filler", b"x" * 60_000)
        await one.step(is_published=False)
        await asyncio.sleep(0.3)
        await one.step(is_published=False)
        await js.purge_stream("filler")
    await one.settle()
    return ()


async def _trusting(outbox: Outbox, answer: object) -> None:
    """Any answer is a good one."""
    outbox._waiting.clear()


@fault("D6")
def test_a_bus_without_room_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proven(
        tmp_path,
        _no_room,
        metric=refusals("full"),
        off=lambda patched: patched.setattr(Outbox, "_acknowledged", _trusting),
        monkeypatch=monkeypatch,
        settings="jetstream: {max_file_store: 2097152}\n",
        max_bytes=1024**2,
    )


@fault("D9")
def test_a_stream_that_is_rerouted_is_refused_at_the_start(
    hard_nats: HardNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SPEC.config()
    other = StreamSource(name="other")
    rerouted = {
        "renamed subjects": dataclasses.replace(
            config,
            subject_transform=SubjectTransform(src="start.trade.*", dest="start.other.{{wildcard(1)}}"),
        ),
        "fed by another": dataclasses.replace(config, sources=[other]),
        "a mirror": dataclasses.replace(config, subjects=None, mirror=other, republish=None),
    }

    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched, watched() as risen:
            if not is_handled:
                patched.setattr(transport, "_CHECKED", ())
            also = asyncio.run(not_refused(hard_nats.url, rerouted))
        return Outcome(metrics=of_any(risen), also=tuple(also))

    prove(scenario, gaps=(), metric=refusals("drift"), at_least=len(rerouted))

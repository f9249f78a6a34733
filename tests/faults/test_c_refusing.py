"""C: the bus is there and refuses: full, without its stream, of another make, with other credentials."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from streaming import metrics, transport
from streaming.bus_connection import BusConnection
from streaming.outbox import Outbox
from tests.faults.bus_faults import proven, refusals, until
from tests.faults.bus_starts import SPEC, not_refused, of_any, refuses
from tests.faults.lossy_bus import HardNats, Life
from tests.faults.proof import Outcome, fault, prove, samples, watched


async def _trusting(outbox: Outbox, answer: Msg) -> None:
    """Any answer is a good one."""
    outbox._waiting.pop(int(answer.subject.rpartition(".")[2]), None)


def trusting(patched: pytest.MonkeyPatch) -> None:
    patched.setattr(Outbox, "_acknowledged", _trusting)


async def is_refused(one: Life, reason: str) -> bool:
    """Whether an operator sees it: counted, and shown as something that lasts."""
    labels = (f'{{feed="{one.feed}",reason="{reason}"}}', f'{{feed="{one.feed}"}}')
    counted, shown = f"ssmd_connector_bus_refusals_total{labels[0]}", f"ssmd_connector_bus_refuses{labels[1]}"
    return await until(lambda: samples().get(counted) and samples().get(shown) == 1, seconds=1.5)


async def _changed(one: Life, reason: str, **change: Any) -> Sequence[str]:
    """Somebody changes the stream while events come, and after a while changes it back."""
    await one.step()
    async with one.operator() as js:
        before = (await js.stream_info(one.spec.name)).config
        await js.update_stream(dataclasses.replace(before, **change))
        await one.step(is_published=False)
        is_seen = await is_refused(one, reason)
        await one.step(is_published=False)
        await js.update_stream(before)
    await one.settle()
    is_over = await until(lambda: samples()[f'ssmd_connector_bus_refuses{{feed="{one.feed}"}}'] == 0)
    return [*([] if is_seen else ["it is not seen"]), *([] if is_over else ["it is seen for ever"])]


async def _full(one: Life) -> Sequence[str]:
    return await _changed(one, "full", discard="new", max_bytes=20_000)


@fault("C7")
@pytest.mark.slow
def test_a_stream_that_is_full_is_waited_for_and_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours lets go the oldest and is never full: this one was changed behind its connector's back."""
    proven(tmp_path, _full, metric=refusals("full"), off=trusting, monkeypatch=monkeypatch)


async def _not_covered(one: Life) -> Sequence[str]:
    return await _changed(one, "no_stream", subjects=[f"{one.feed}.gap.*", f"{one.feed}.status.*"])


@fault("C8")
@pytest.mark.slow
def test_subjects_that_no_stream_takes_any_more_are_waited_for_and_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven(tmp_path, _not_covered, metric=refusals("no_stream"), off=trusting, monkeypatch=monkeypatch)


async def _gone(one: Life) -> Sequence[str]:
    await one.step()
    async with one.operator() as js:
        await js.delete_stream(one.spec.name)
    await one.step()
    return ()


@fault("C8")
@pytest.mark.slow
def test_a_stream_that_is_deleted_while_events_come_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave(bus: BusConnection, client: Client) -> None:
        """Whoever deleted it shall mend it."""

    proven(
        tmp_path,
        _gone,
        gaps=("stream_hole",),
        metric=refusals("no_stream"),
        off=lambda patched: patched.setattr(BusConnection, "mend", leave),
        monkeypatch=monkeypatch,
    )


# --- at the start ------------------------------------------------------------------------------------------

WRONG: dict[str, dict[str, Any]] = {
    "lets go nothing": {"discard": "new"},
    "in memory": {"storage": "memory"},
    "other subjects": {"subjects": ["start.trade.*"]},
    "too short": {"max_age": 600},
    "too small": {"max_bytes": 2**20},
    "small messages": {"max_msg_size": 1_000},
    "few messages": {"max_msgs": 1_000},
    "few of a market": {"max_msgs_per_subject": 1},
    "kept while read": {"retention": "interest"},
    "forgets identities": {"duplicate_window": 1},
    "no acknowledgements": {"no_ack": True},
    "no republishing": {"republish": None},
}


@fault("C9")
def test_a_stream_that_is_not_what_the_environment_says_is_refused_at_the_start(
    hard_nats: HardNats, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched, watched() as risen:
            wrong = {name: dataclasses.replace(SPEC.config(), **change) for name, change in WRONG.items()}
            if not is_handled:
                patched.setattr(transport, "_CHECKED", ())
            also = asyncio.run(not_refused(hard_nats.url, wrong))
        return Outcome(metrics=of_any(risen), also=tuple(also))

    prove(scenario, gaps=(), metric=refusals("drift"), at_least=len(WRONG))


@asynccontextmanager
async def _debian() -> AsyncIterator[str]:
    """A server that calls itself 2.9.10, as Debian 12 has it, and takes everything."""
    banner = b'INFO {"server_id":"x","version":"2.9.10","max_payload":1048576,"headers":true}\r\n'

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@fault("C11")
def test_a_server_that_ignores_what_it_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def start() -> list[str]:
        async with _debian() as url:
            return [] if await refuses(url) else ["not refused"]

    def scenario(is_handled: bool) -> Outcome:
        with monkeypatch.context() as patched, watched() as risen:
            if not is_handled:
                patched.setattr(transport, "OLDEST_SERVER", (2, 0))
            also = asyncio.run(start())
        return Outcome(metrics=of_any(risen), also=tuple(also))

    metrics.init_bus(SPEC.feed)
    prove(scenario, gaps=(), metric=refusals("old_server"))

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from registry.refusal import Refused
from streaming import transport
from streaming.transport import StreamSpec
from tests.faults.lossy_bus import HardNats


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> StreamSpec:
    """A stream of the test's own: all tests share one server."""
    feed = f"feed-{abs(hash(request.node.name)) % 10**9}"
    return StreamSpec(f"ssmd-{feed}", feed, max_bytes=64 * 1024**2)


async def test_the_stream_is_made_as_the_design_says(nats_server: str, spec: StreamSpec) -> None:
    client = await transport.connect(nats_server, name="test")
    await transport.ensure_stream(client, spec)

    config = (await client.jetstream().stream_info(spec.name)).config
    assert (config.storage, config.discard, config.max_age) == ("file", "old", 72 * 3600)
    assert (config.duplicate_window, config.max_bytes) == (120, spec.max_bytes)
    assert config.republish is not None
    await client.close()


async def test_making_it_again_changes_nothing(nats_server: str, spec: StreamSpec) -> None:
    client = await transport.connect(nats_server, name="test")

    await transport.ensure_stream(client, spec)
    made = await client.jetstream().stream_info(spec.name)
    await transport.ensure_stream(client, spec)

    found = await client.jetstream().stream_info(spec.name)
    assert (found.created, found.config) == (made.created, made.config)
    await client.close()


DRIFTS: dict[str, dict[str, Any]] = {
    "discard": {"discard": "new"},
    "storage": {"storage": "memory"},
    "subjects": {"subjects": ["x.trade.*"]},
    "max_age": {"max_age": 600},
    "max_bytes": {"max_bytes": 1024**2},
    "max_msg_size": {"max_msg_size": 1000},
    "max_msgs": {"max_msgs": 5},
    "retention": {"retention": "interest"},
    "duplicate_window": {"duplicate_window": 1},
    "no_ack": {"no_ack": True},
    "republish": {"republish": None},
}


@pytest.mark.parametrize("name", DRIFTS)
async def test_a_stream_that_drifted_is_refused_with_the_difference(
    nats_server: str, spec: StreamSpec, name: str
) -> None:
    client = await transport.connect(nats_server, name="test")
    changed: StreamConfig = dataclasses.replace(spec.config(), **DRIFTS[name])
    await client.jetstream().add_stream(changed)

    with pytest.raises(Refused) as refused:
        await transport.ensure_stream(client, spec)

    assert f"{spec.name}: {name} is " in str(refused.value)
    await client.jetstream().delete_stream(spec.name)
    await client.close()


async def test_a_stream_whose_subjects_another_one_takes_is_refused(
    nats_server: str, spec: StreamSpec
) -> None:
    client = await transport.connect(nats_server, name="test")
    await transport.ensure_stream(client, spec)

    with pytest.raises(Refused, match="overlap"):
        await transport.ensure_stream(client, dataclasses.replace(spec, name=f"{spec.name}-other"))

    await client.close()


async def test_an_absent_server_is_an_error_within_seconds() -> None:
    with pytest.raises((TimeoutError, OSError, nats.errors.Error)):
        await transport.connect("nats://127.0.0.1:1", name="test")


async def test_a_server_that_does_not_take_our_credentials_says_so(tmp_path: Path) -> None:
    server = HardNats(tmp_path, "authorization: {user: us, password: right}\n")
    await asyncio.to_thread(server.start)

    with pytest.raises(nats.errors.Error, match=r"(?i)authorization"):
        await transport.connect(server.url.replace("//", "//us:wrong@"), name="test")

    await asyncio.to_thread(server.stop)

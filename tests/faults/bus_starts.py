"""What the tests of a bus that is refused at a session's start share."""

import asyncio
from collections.abc import Mapping
from typing import Any

from nats.js.api import StreamConfig

from registry.refusal import Refused
from streaming import transport
from streaming.bus_connection import BusConnection
from streaming.transport import StreamSpec
from tests.faults.bus_faults import ANY

SPEC = StreamSpec("ssmd-start", "start", max_bytes=2**26)


async def refuses(url: str) -> bool:
    """Whether a session is refused, as it is at its start, with what is wrong."""

    async def look(client: Any) -> None:
        """There is nothing to compare."""

    bus = BusConnection(url, SPEC, look=look, on_denied=lambda why: None)
    try:
        async with asyncio.timeout(1):
            client = await bus.until_reached(asyncio.Event())
    except Refused:
        return True
    if client is not None:
        await client.close()
    return False


def of_any(risen: Mapping[str, float]) -> dict[str, float]:
    """What rose, with any feed's name."""
    return {key.replace(SPEC.feed, ANY): rise for key, rise in risen.items()}


async def not_refused(url: str, wrong: Mapping[str, StreamConfig]) -> list[str]:
    """With which of these streams a session starts all the same."""
    operator = await transport.connect(url, name="operator")
    js, found = operator.jetstream(), []
    for name, config in wrong.items():
        await js.add_stream(config)
        if not await refuses(url):
            found.append(f"{name}: not refused")
        await js.delete_stream(SPEC.name)
    await operator.close()
    return found

"""What the follower's jobs share of the bus: be connected, and where it is away, wait and go on."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from archive.pull import Broken
from registry.refusal import ExitCode, Reason, Refused
from secmaster.follower import Overtaken
from streaming import transport
from streaming.lifetime import comes_within, stay_cancelled

log = structlog.get_logger()

RETRY_SECONDS = 1.0
# A consumer that broke, a position that moved: made anew at once.
MENDED = (Broken, Overtaken)
TROUBLE = (NatsError, JetStreamError, OSError, TimeoutError, *MENDED)


async def on_bus(
    url: str, stream: str, stop: asyncio.Event, job: Callable[[Client], Awaitable[None]], *, name: str
) -> None:
    """Run `job` with a connection until asked to stop; again, with a new one, after any trouble of the bus."""
    said = ""
    while not stop.is_set():
        why = ""
        try:
            await with_client(url, job, name=name)
        except NotFoundError:
            why = f"the stream {stream} is not there yet: the connector makes it"
        except TROUBLE as error:
            why = f"{where(url)}: {str(error) or 'no answer'}"
        stay_cancelled()
        if why and why != said:
            log.warning("waiting for the bus", job=name, why=why)
        said = why
        await comes_within(stop, RETRY_SECONDS)


async def with_client(url: str, job: Callable[[Client], Awaitable[None]], *, name: str) -> None:
    """Run `job` once with a connection of its own."""
    client = await transport.connect(url, name=name)
    try:
        await job(client)
    finally:
        with suppress(*TROUBLE):
            async with asyncio.timeout(2):
                await client.close()


def away(url: str, stream: str, error: Exception) -> Refused:
    """The same trouble, told to somebody who does not want to wait."""
    problem = f"The bus at {where(url)} cannot be read: {str(error) or 'no answer'}"
    if isinstance(error, NotFoundError):
        problem = f"The stream {stream} is not on the bus at {where(url)}"
    remedy = "`ssmd up` starts it; the connector makes the stream."
    return Refused([Reason(problem, remedy)], exit_code=ExitCode.UNAVAILABLE)


def where(url: str) -> str:
    """The address without credentials."""
    return url.rpartition("@")[2]

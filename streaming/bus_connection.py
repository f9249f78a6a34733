"""A publisher's way to the bus: reached and its stream checked, at the start and whenever it was lost for good."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError

from registry.refusal import Refused
from streaming import metrics, subjects, transport
from streaming.lifetime import comes_within, stay_cancelled
from streaming.refusals import Refusals, reason_of_error

log = structlog.get_logger()

RETRY_SECONDS = 1.0


class BusConnection:
    """`look` is called with each new client before anything is published; `on_denied` when our user may not publish."""

    def __init__(
        self,
        url: str,
        stream: transport.StreamSpec,
        *,
        look: Callable[[Client], Awaitable[None]],
        on_denied: Callable[[str], None],
        note_file: Path | None = None,
    ) -> None:
        self._url, self._stream = url, stream
        self._look, self._on_denied = look, on_denied
        self.refusals = Refusals(stream.feed, note_file)

    async def until_reached(self, given_up: asyncio.Event) -> Client | None:
        """The bus may be away when capture starts; it is waited for as long as the session lasts.

        A bus that is there at the start and is not what it should be ends the session; one that comes later does
        not: by then there is a recording to lose.
        """
        is_start = True
        while not given_up.is_set():
            try:
                return await self.reach()
            except (NatsError, OSError, TimeoutError) as error:
                log.warning("bus not reachable", error=str(error) or type(error).__name__)
                self.refusals.away()
            except Refused as refused:
                log.error("bus refused", reasons=[str(reason) for reason in refused.reasons])
                if is_start:
                    raise
            is_start = False
            await comes_within(given_up, RETRY_SECONDS)
        return None

    async def reach(self) -> Client:
        """A new client whose stream is as it should be; raises NatsError, OSError, TimeoutError or Refused."""
        try:
            client = await transport.connect(self._url, name="connector", on_error=self._heard)
        except NatsError as error:
            self._note(error)
            raise
        try:
            await self._require_stream(client)
            await self._look(client)
            stay_cancelled()
        except BaseException:
            await close(client)
            raise
        return client

    async def mend(self, client: Client) -> None:
        """Somebody may have deleted the stream: make it again; anything else is for an operator."""
        with suppress(NatsError, TimeoutError, Refused):
            await self._require_stream(client)
            await self._look(client)

    async def _require_stream(self, client: Client) -> None:
        try:
            await transport.ensure_stream(client, self._stream)
        except Refused as refused:
            self._note(refused)
            raise

    def measure(self, client: Client | None, *, is_refused: bool) -> None:
        """Show how it stands."""
        is_connected = client is not None and client.is_connected
        metrics.BUS_CONNECTED.labels(self._stream.feed).set(float(is_connected))
        if not is_connected:
            self.refusals.away()
        elif not is_refused:
            self.refusals.over()

    def _heard(self, error: Exception) -> None:
        """What the server says between its answers, or while it is reached."""
        if self._note(error) == "permission" and subjects.raw(self._stream.feed, "") not in str(error):
            self._on_denied(str(error))

    def _note(self, error: Exception) -> str:
        if reason := reason_of_error(error):
            self.refusals.note(reason, str(error))
        return reason


async def close(client: Client | None) -> None:
    """End a client's connection; one that does not end in time is left."""
    if client is None:
        return
    with suppress(NatsError, OSError, TimeoutError):
        async with asyncio.timeout(2):
            await client.close()

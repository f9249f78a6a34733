"""Changes from the outbox to the bus: at least once, in the order of each market, under ids that tell repeats."""

import asyncio
from functools import partial

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from registry.models import Feed
from secmaster import outbox
from secmaster.outbox import Waiting
from ssmd.market_database import Database
from streaming import follow_metrics as metrics
from streaming import subjects
from streaming.lifetime import comes_within

log = structlog.get_logger()

ACK_WITHIN_SECONDS = 5.0
LOOK_EVERY_SECONDS = 1.0  # for what a sync wrote; the follower's own changes are told at once


class OutboxPublisher:
    """One feed's outbox; `there_is_more` may be set by whoever wrote to it."""

    def __init__(self, feed: Feed, stream: str, database: Database) -> None:
        self._feed, self._stream, self._database = feed, stream, database
        self.there_is_more = asyncio.Event()

    async def publish(self, client: Client, stop: asyncio.Event, *, until_empty: bool = False) -> None:
        """Publish until asked to stop, or until nothing is left; raises what the bus raises."""
        stream = client.jetstream(timeout=ACK_WITHIN_SECONDS)
        while not stop.is_set():
            self.there_is_more.clear()
            waiting = await self._database.do(partial(outbox.oldest, self._feed))
            if waiting:
                await self._send(stream, waiting)
            elif until_empty:
                return
            else:
                await self._rest(stop)

    async def _rest(self, stop: asyncio.Event) -> None:
        metrics.OUTBOX_DEPTH.labels(self._feed.name).set(0)
        if not stop.is_set():
            await comes_within(self.there_is_more, LOOK_EVERY_SECONDS)

    async def _send(self, stream: JetStreamContext, waiting: list[Waiting]) -> None:
        acked: list[int] = []
        try:
            for wave in outbox.waves(waiting):
                results = await asyncio.gather(
                    *(self._send_one(stream, one) for one in wave), return_exceptions=True
                )
                acked += [one.pk for one, result in zip(wave, results, strict=True) if result is None]
                for result in results:
                    if isinstance(result, BaseException):
                        raise result
        finally:
            metrics.PUBLISHED.labels(self._feed.name).inc(len(acked))
            await self._database.do(partial(outbox.published, acked))
            depth = await self._database.do(partial(outbox.depth, self._feed))
            metrics.OUTBOX_DEPTH.labels(self._feed.name).set(depth)

    async def _send_one(self, stream: JetStreamContext, one: Waiting) -> None:
        subject = subjects.secmaster(self._feed.name, one.change)
        headers = {"Nats-Msg-Id": one.identity}
        await stream.publish(subject, one.payload, stream=self._stream, headers=headers)

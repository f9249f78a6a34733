"""One connection to the bus and one reader of a feed's stream per process, shared by all its clients."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nats
import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from prometheus_client import Counter as Metric

from streaming import subjects
from streaming.events import Trade
from streaming.gateway import messages
from streaming.gateway.fanout import Fanout
from streaming.gateway.live_book import BookEvent, LiveBook
from streaming.gateway.past_trades import past_trades
from streaming.ordered_reader import OrderedReader, Position, read_past

log = structlog.get_logger()

RETRY_SECONDS = 1.0
LOADS_AT_ONCE = 8
PAST_WITHIN_SECONDS = 10.0
# What an exchange sent, as against what ssmd says about itself (gap, secmaster).
MARKET_DATA = (*subjects.MARKET_TOKENS, "checkpoint")
_BUS_ERRORS = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)


HOLES = Metric(
    "ssmd_gateway_stream_holes_total",
    "Times that messages were gone from the bus before they were read",
    ["feed"],
)


@dataclass(frozen=True, slots=True)
class Serving:
    """What a gateway serves, as plain values."""

    environment: str
    feed: str
    stream: str
    nats_url: str
    simulated: bool = False


class Hub:
    """Follows one feed's stream for the clients of this process; `fanout` says what goes to whom."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self.state = "stale"
        self.why_stale = "Not yet connected to the bus."
        self.epoch = ""
        self.started_at = time.time()  # Unix seconds, as the next
        self.last_market_data_at: float | None = None
        self.received: Counter[str] = Counter()  # by subject token
        self.fanout = Fanout(on_load=self._begin_loading, on_changed=self._send_changed_soon)
        self._tasks: set[asyncio.Task[None]] = set()
        self._loads = asyncio.Semaphore(LOADS_AT_ONCE)
        self._last_error = ""
        self._nc: Client | None = None
        self._reader: OrderedReader | None = None
        HOLES.labels(serving.feed)

    def start(self) -> None:
        """Connect and follow, in the background, for ever: a bus that is away only makes the hub stale."""
        self._spawn(self._run())

    async def close(self) -> None:
        """Stop following."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def seq(self) -> int:
        """The stream sequence that was handed over last."""
        return self._reader.last_seq if self._reader else 0

    @property
    def connection(self) -> Client | None:
        """The connection to the bus, while it stands."""
        return self._nc if self._nc is not None and self._nc.is_connected else None

    @property
    def market_data_count(self) -> int:
        """How many messages of markets came since the process began."""
        return sum(self.received[token] for token in MARKET_DATA)

    async def holds(self, ticker: str) -> bool:
        """Whether the stream holds anything of this market: it may be newer than the registry's list."""
        nc = self.connection
        if nc is None:
            return False
        try:
            any_kind = f"{self.serving.feed}.*.{subjects.escape(ticker)}"
            await nc.jetstream(timeout=2).get_last_msg(self.serving.stream, any_kind)
        except _BUS_ERRORS:  # not found among them
            return False
        return True

    async def past_trades(
        self, ticker: str, *, since: datetime, limit: int
    ) -> list[tuple[int, Trade]] | None:
        """(stream sequence, trade), newest first; None where the bus cannot be read. Raises TooMuch."""
        nc, serving = self.connection, self.serving
        if nc is None:
            return None
        try:
            async with asyncio.timeout(PAST_WITHIN_SECONDS), self._loads:
                return await past_trades(
                    nc, serving.stream, feed=serving.feed, ticker=ticker, since=since, limit=limit
                )
        except _BUS_ERRORS as error:
            log.warning("trades_not_read", ticker=ticker, error=str(error) or type(error).__name__)
            return None

    # --- the connection and its reader -----------------------------------------------------------------
    async def _run(self) -> None:
        self._nc = nc = await self._connect()
        self._reader = OrderedReader(
            nc,
            self.serving.stream,
            on_message=self._receive,
            on_ready=self._ready,
            on_hole=self._hole,
            on_new_numbering=self._renumbered,
            on_trouble=self._become_stale,
        )
        try:
            await self._reader.run()
        finally:
            with contextlib.suppress(Exception):  # it may be gone already
                await nc.close()

    async def _connect(self) -> Client:
        while True:
            try:
                return await nats.connect(
                    self.serving.nats_url,
                    name=f"ssmd-gateway-{self.serving.environment}",
                    connect_timeout=2,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.25,
                    ping_interval=2,  # the default notices a dead server after minutes
                    max_outstanding_pings=2,
                    allow_reconnect=True,
                    error_cb=self._log_error,
                    disconnected_cb=self._disconnected,
                    reconnected_cb=self._reconnected,
                )
            except _BUS_ERRORS as error:
                self._become_stale("The bus cannot be reached.")
                log.warning("bus_unreachable", error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _log_error(self, error: Exception) -> None:
        # While the bus is away the library reports every attempt: say it once.
        said = str(error) or type(error).__name__
        if said != self._last_error:
            log.warning("bus_error", error=said)
        self._last_error = said

    async def _disconnected(self) -> None:
        self._become_stale("The connection to the bus is lost; what is missed follows when it is back.")

    async def _reconnected(self) -> None:
        if self._reader is not None:
            self._reader.restart("reconnected")

    def _become_stale(self, why: str) -> None:
        self.why_stale = why
        if self.state != "stale":
            self.state = "stale"
            self.fanout.tell_all(messages.status("stale", why=why))

    def _ready(self, position: Position) -> None:
        self.epoch = position.epoch.isoformat()
        if self.state != "live":
            self.state, self.why_stale = "live", ""
            self.fanout.tell_all(messages.status("live"))

    def _receive(self, subject: str, seq: int, payload: bytes) -> None:
        token = subject.split(".", 2)[1]
        self.received[token] += 1
        if token in MARKET_DATA:
            self.last_market_data_at = time.time()
        self.fanout.receive(subject, seq, payload)

    def _hole(self, first_seq: int, last_seq: int) -> None:
        HOLES.labels(self.serving.feed).inc()
        self.fanout.tell_all(messages.stream_hole(first_seq, last_seq))
        self.fanout.reload_all()

    def _renumbered(self) -> None:
        """The stream was made anew or restored: what it holds now may never have been sent to anybody."""
        log.warning("stream_renumbered", stream=self.serving.stream, last_seq=self.seq)
        self._hole(0, self.seq)

    def _send_changed_soon(self) -> None:
        # Runs when the reading task has handed over all that came in one go.
        asyncio.get_running_loop().call_soon(self.fanout.send_changed)

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- books' past -----------------------------------------------------------------------------------
    def _begin_loading(self, book: LiveBook) -> None:
        self._spawn(self._load(book))

    async def _load(self, book: LiveBook) -> None:
        """Build a book from its last checkpoint and what followed; until that is done, live events wait in it."""
        while self.fanout.is_followed(book):
            nc = self.connection
            if nc is None or self.state != "live":
                await asyncio.sleep(0.1)
                continue
            try:
                async with self._loads:
                    past = await self._past_of(nc, book.ticker)
            except _BUS_ERRORS as error:
                log.warning("book_not_loaded", ticker=book.ticker, error=str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.fanout.loaded(book, past)
            return

    async def _past_of(self, nc: Client, ticker: str) -> list[tuple[int, BookEvent]]:
        feed, stream = self.serving.feed, self.serving.stream
        checkpoint = subjects.of_market(feed, "checkpoint", ticker)
        try:
            # Not the direct form, which a replica that lags may answer.
            last = await nc.jetstream().get_last_msg(stream, checkpoint)
        except nats.js.errors.NotFoundError:
            return []
        since = int(last.seq or 0)
        wanted = [checkpoint, subjects.of_market(feed, "orderbook", ticker), f"{feed}.gap.*"]
        found = [(checkpoint, since, last.data or b"")]
        found += await read_past(nc, stream, subjects=wanted, after=since)
        events = ((seq, self.fanout.decode(subject.split(".")[1], data)) for subject, seq, data in found)
        return [(seq, event) for seq, event in events if event is not None]  # type: ignore[misc]  # book events only

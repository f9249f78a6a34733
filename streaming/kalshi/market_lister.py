"""Asks REST which markets there are, and tells the board."""

import asyncio
import time
from collections.abc import Iterable
from typing import Protocol

import httpx
import structlog

from streaming import metrics
from streaming.kalshi.capture import Capture
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.markets import COMBO_PREFIX, MarketBoard, Patterns
from streaming.kalshi.rest import Credentials, KalshiRest, listed
from streaming.lifetime import comes_within

log = structlog.get_logger()

AGAIN_SECONDS = 60.0
RETRY_SECONDS = 3.0
TICKERS_A_REQUEST = 50  # names of 200 characters still fit into a URL
STATUSES = ("open", "unopened")


class ListerConfig(Protocol):
    """What listing needs of a connector's configuration."""

    @property
    def feed(self) -> str: ...
    @property
    def rest_endpoint(self) -> str: ...
    @property
    def credentials(self) -> Credentials | None: ...
    @property
    def tickers(self) -> frozenset[str]: ...
    @property
    def series(self) -> frozenset[str]: ...
    @property
    def categories(self) -> frozenset[str]: ...
    @property
    def is_everything(self) -> bool: ...


class MarketLister:
    """Lists at each new connection, and each minute while no market is wanted."""

    def __init__(
        self, config: ListerConfig, board: MarketBoard, capture: Capture, *, keyring: Keyring | None = None
    ) -> None:
        self._config = config
        self._keyring = keyring or Keyring(config.credentials)
        self._board = board
        self._capture = capture

    async def run(self) -> None:
        """Until cancelled."""
        due = self._capture.listing_due
        while True:
            await due.wait()
            due.clear()
            while not await self._list_once():
                await asyncio.sleep(RETRY_SECONDS)
            while not self._board.wanted() and not due.is_set():
                await comes_within(due, AGAIN_SECONDS)
                await self._list_once()

    async def _list_once(self) -> bool:
        try:
            async with KalshiRest(self._config.rest_endpoint, self._keyring.current()) as rest:
                await self._learn_from(rest)
        except (httpx.HTTPError, ValueError) as error:
            log.warning("markets not listed", error=str(error) or type(error).__name__)
            metrics.CONNECTOR_ERRORS_TOTAL.labels(self._config.feed, "venue").inc()
            return False
        self._capture.want_books()
        log.info("markets listed", books=len(self._board.wanted()))
        return True

    async def _learn_from(self, rest: KalshiRest) -> None:
        if self._config.categories:
            series = await rest.series_of_categories(set(self._config.categories))
            self._board.patterns = Patterns(self._config.tickers, self._config.series | series)
        expected, seen = self._board.wanted(), set[str]()
        for query in self._queries():
            for status in STATUSES:
                async for page in rest.markets(status=status, **query):
                    self._board.learn_listed(map(listed, page), now_ns=time.time_ns())
                    seen.update(row["ticker"] for row in page)
        await self._ask_for(rest, expected - seen)

    async def _ask_for(self, rest: KalshiRest, tickers: set[str]) -> None:
        """What ended while nobody listened is in no listing: its book would be waited for in vain."""
        for page in _pages(ticker for ticker in tickers if not ticker.startswith(COMBO_PREFIX)):
            rows = [listed(row) async for rows in rest.markets(tickers=",".join(page)) for row in rows]
            self._board.learn_asked(page, rows, now_ns=time.time_ns())

    def _queries(self) -> list[dict[str, str]]:
        """One for everything, else one for each series and one for each page of tickers."""
        if self._config.is_everything:
            return [{}]
        by_series = [{"series_ticker": series} for series in sorted(self._board.patterns.series)]
        return by_series + [{"tickers": ",".join(page)} for page in _pages(self._config.tickers)]


def _pages(tickers: Iterable[str]) -> list[list[str]]:
    """The tickers in parts of one request each."""
    names = sorted(tickers)
    return [names[start : start + TICKERS_A_REQUEST] for start in range(0, len(names), TICKERS_A_REQUEST)]

"""Markets that only REST can complete: one request for each event, at the pace that the venue allows."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx
import structlog
from django.utils import timezone

from registry.models import Feed
from secmaster import lookups
from secmaster.models import MarketLookup
from ssmd.market_database import Database
from streaming import follow_metrics as metrics
from streaming.kalshi.rest import KalshiRest
from streaming.lifetime import comes_within

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0  # between two tries of a venue that does not answer
_NAMED_AT_ONCE = 50
# What an answer, or its absence, can raise.
_NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError, AttributeError)


class LookUps:
    """One feed's look-ups."""

    def __init__(self, feed: Feed, database: Database) -> None:
        self._feed, self._database = feed, database
        self._categories: dict[str, str] = {}
        self._pause = LOOK_EVERY_SECONDS

    async def work(self, stop: asyncio.Event) -> None:
        """Answer what is due, until asked to stop."""
        while not stop.is_set():
            await self.answer_due(stop)
            await comes_within(stop, self._pause)

    async def answer_due(self, stop: asyncio.Event) -> None:
        """Every look-up that is due now, once."""
        due = await self._database.do(lambda: lookups.due(self._feed, timezone.now()))
        metrics.LOOKUPS_WAITING.labels(self._feed.name).set(
            await self._database.do(partial(lookups.waiting, self._feed))
        )
        if not due:
            return
        endpoint = await self._database.do(lambda: self._feed.version_on(timezone.now()).rest_endpoint)
        async with KalshiRest(endpoint, connect_attempts=1) as rest:
            try:
                for lookup in due:
                    if stop.is_set():
                        return
                    await self._answer(rest, lookup)
            except httpx.TransportError as error:
                self._wait_for_venue(error)
                return
        self._pause = LOOK_EVERY_SECONDS

    def _wait_for_venue(self, error: httpx.TransportError) -> None:
        """Nobody answers at all: no look-up's fault, and no attempt of any."""
        metrics.LOOKUPS.labels(self._feed.name, "failed").inc()
        if self._pause == LOOK_EVERY_SECONDS:
            log.warning("look-ups wait for the venue", why=str(error) or type(error).__name__)
        self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)

    async def _answer(self, rest: KalshiRest, lookup: MarketLookup) -> None:
        try:
            rows = await self._ask(rest, lookup)
            categories = await self._categories_of(rest, lookup.event_ticker.split("-", 1)[0])
        except httpx.TransportError:
            raise
        except _NO_ANSWER as error:
            why = str(error) or type(error).__name__
            await self._database.do(lambda: lookups.failed(lookup, why, timezone.now()))
            self._note(lookup, why)
            return
        is_found = await self._database.do(lambda: lookups.answered(lookup, rows, categories, timezone.now()))
        if is_found:
            metrics.LOOKUPS.labels(self._feed.name, "found").inc()
        else:
            self._note(lookup, "the venue does not know it")

    def _note(self, lookup: MarketLookup, why: str) -> None:
        is_given_up = lookup.attempts + 1 >= lookups.MOST_ATTEMPTS
        metrics.LOOKUPS.labels(self._feed.name, "given_up" if is_given_up else "failed").inc()
        say = log.error if is_given_up else log.info
        said = "a look-up is given up" if is_given_up else "a look-up is put off"
        say(
            said,
            event_ticker=lookup.event_ticker,
            markets=len(lookup.tickers),
            attempt=lookup.attempts + 1,
            why=why,
        )

    async def _ask(self, rest: KalshiRest, lookup: MarketLookup) -> list[dict[str, Any]]:
        """The event's markets; by name those that the event does not have, since its name may be a guess."""
        rows = await _listed(rest, event_ticker=lookup.event_ticker)
        found = {row["ticker"] for row in rows}
        missing = [ticker for ticker in lookup.tickers if ticker not in found]
        for first in range(0, len(missing), _NAMED_AT_ONCE):
            rows += await _listed(rest, tickers=",".join(missing[first : first + _NAMED_AT_ONCE]))
        return rows

    async def _categories_of(self, rest: KalshiRest, series: str) -> Mapping[str, str]:
        if series not in self._categories:
            known = await self._database.do(partial(lookups.known_categories, self._feed, [series]))
            self._categories[series] = known.get(series) or await _category(rest, series)
        return {series: self._categories[series]} if self._categories[series] else {}


async def _listed(rest: KalshiRest, **query: str) -> list[dict[str, Any]]:
    try:
        return [row async for page in rest.markets(**query) for row in page]
    except httpx.HTTPStatusError as error:
        _require_not_found(error)
        return []


async def _category(rest: KalshiRest, series: str) -> str:
    try:
        body = await rest.get(f"/series/{series}")
    except httpx.HTTPStatusError as error:
        _require_not_found(error)
        return ""
    return str((body.get("series") or {}).get("category") or "")


def _require_not_found(error: httpx.HTTPStatusError) -> None:
    """That the venue does not know it is an answer; anything else is not."""
    if error.response.status_code != httpx.codes.NOT_FOUND:
        raise error

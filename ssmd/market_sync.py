"""The venue's markets into the tables: REST pages from `streaming`, written by `secmaster`."""

import asyncio
from collections.abc import Iterator
from typing import Any

from registry.models import Feed, FeedVersion
from registry.refusal import Reason, Refused
from secmaster.sync import SyncResult, sync_markets
from streaming.kalshi.rest import ATTEMPTS, KalshiRest


def sync_from_venue(feed: Feed, version: FeedVersion, *, connect_attempts: int = ATTEMPTS) -> SyncResult:
    """Fetch every page and upsert it; raises httpx.HTTPError when the venue does not answer, Refused when it cannot be asked."""
    if not version.rest_endpoint:
        raise Refused(
            [Reason(f"Feed '{feed.name}' names no REST endpoint", "It is parser_config.rest_endpoint.")]
        )
    with asyncio.Runner() as loop:
        categories = loop.run(_categories(version.rest_endpoint, connect_attempts))
        return sync_markets(feed, _pages(loop, version.rest_endpoint), categories)


async def _categories(rest_endpoint: str, connect_attempts: int) -> dict[str, str]:
    """Each series' category: since 2026 a market no longer carries it."""
    async with KalshiRest(rest_endpoint, connect_attempts=connect_attempts) as rest:
        body = await rest.get("/series")
    return {row["ticker"]: row["category"] for row in body.get("series") or () if row.get("category")}


def _pages(loop: asyncio.Runner, rest_endpoint: str) -> Iterator[list[dict[str, Any]]]:
    """One page at a time; the loop rests while a page is written, for the ORM refuses to run inside it."""
    rest = KalshiRest(rest_endpoint)
    pages = rest.markets()
    try:
        while (page := loop.run(anext(pages, None))) is not None:
            yield page
    finally:
        loop.run(rest.__aexit__())

"""The venue's markets into the tables: REST pages from `streaming`, written by `secmaster`."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

from registry.models import Feed, FeedVersion
from registry.refusal import Reason, Refused
from secmaster.sync import SyncResult, sync_markets
from streaming.kalshi.rest import ATTEMPTS, KalshiRest


class Interrupted(Exception):
    """Asked to stop between two pages."""


def sync_from_venue(
    feed: Feed,
    version: FeedVersion,
    *,
    connect_attempts: int = ATTEMPTS,
    halt: threading.Event | None = None,
) -> SyncResult:
    """Fetch every page and upsert it; raises httpx.HTTPError when the venue does not answer, Refused when it cannot be asked.

    Once `halt` is set it raises Interrupted: what was written stays, and nothing counts as ended.
    """
    if not version.rest_endpoint:
        raise Refused(
            [Reason(f"Feed '{feed.name}' names no REST endpoint", "It is parser_config.rest_endpoint.")]
        )
    with asyncio.Runner() as loop:
        categories = loop.run(_categories(version.rest_endpoint, connect_attempts))
        return sync_markets(feed, _pages(loop, version.rest_endpoint, halt), categories)


async def _categories(rest_endpoint: str, connect_attempts: int) -> dict[str, str]:
    """Each series' category: since 2026 a market no longer carries it."""
    async with KalshiRest(rest_endpoint, connect_attempts=connect_attempts) as rest:
        body = await rest.get("/series")
    return {row["ticker"]: row["category"] for row in body.get("series") or () if row.get("category")}


def _pages(
    loop: asyncio.Runner, rest_endpoint: str, halt: threading.Event | None
) -> Iterator[list[dict[str, Any]]]:
    """One page at a time; the loop rests while a page is written, for the ORM refuses to run inside it."""
    rest = KalshiRest(rest_endpoint)
    pages = rest.markets()
    try:
        while (page := loop.run(anext(pages, None))) is not None:
            yield page
            if halt is not None and halt.is_set():
                raise Interrupted
    finally:
        loop.run(rest.__aexit__())

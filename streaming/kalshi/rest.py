"""Kalshi's REST API, as much as recording needs: markets and series, page by page."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from streaming.kalshi.signing import signed_headers

PAGE = 1000
ATTEMPTS = 5
# A Basic key has 200 tokens a second and a request costs 10: half of it is left to the key's other users.
SECONDS_BETWEEN = 0.1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRANSIENT = (429, 500, 502, 503, 504)
_DOWN = (500, 503, 504)  # kalshi.md 10, on 4.8


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key id and its private key in PEM."""

    key_id: str
    private_key: str = field(repr=False)

    def headers(self, method: str, path: str) -> dict[str, str]:
        """The signature of one request, made now."""
        return signed_headers(self.key_id, self.private_key, method, path, time.time_ns() // 1_000_000)


class KalshiRest:
    """One client; use it as an async context manager."""

    def __init__(
        self, base_url: str, credentials: Credentials | None = None, *, connect_attempts: int = ATTEMPTS
    ) -> None:
        """`connect_attempts`: where nobody listens; fewer for an operator who waits for the answer."""
        self._base = base_url.rstrip("/")
        self._path = urlsplit(self._base).path
        self._credentials = credentials
        self._connect_attempts = connect_attempts
        self._next_at = 0.0  # monotonic: when the next request may go
        timeout = httpx.Timeout(15, connect=5)
        self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False, verify=_trusted())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON body; 429 and 5xx are tried again; raises httpx.HTTPError in the end."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_transient),
            wait=wait_random_exponential(multiplier=0.5, max=10),
            stop=self._is_enough,
            reraise=True,
        )
        return await retrying(self._get_once, path, query)

    def _is_enough(self, tried: RetryCallState) -> bool:
        error = tried.outcome.exception() if tried.outcome else None
        most = self._connect_attempts if isinstance(error, httpx.ConnectError) else ATTEMPTS
        return tried.attempt_number >= most

    async def _get_once(self, path: str, query: Mapping[str, Any]) -> Any:
        headers = self._credentials.headers("GET", f"{self._path}{path}") if self._credentials else None
        given = {name: value for name, value in query.items() if value is not None}
        await self._pace()
        response = await self._client.get(f"{self._base}{path}", params=given, headers=headers)
        response.raise_for_status()
        return response.json()

    async def _pace(self) -> None:
        now = time.monotonic()
        self._next_at = max(self._next_at + SECONDS_BETWEEN, now)
        await asyncio.sleep(self._next_at - now)

    def markets(self, **query: Any) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of markets, never combinations; filters as the venue's, e.g. status="open", series_ticker=..."""
        return self._pages("/markets", "markets", {**query, "mve_filter": "exclude"})

    def trades(self, *, from_s: int, to_s: int) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of all markets' trades between two Unix seconds, the latest first."""
        return self._pages("/markets/trades", "trades", {"min_ts": from_s, "max_ts": to_s})

    async def status(self) -> dict[str, Any]:
        """`exchange_active`, `trading_active`: also where the venue answers with them that it is down.

        Asked once: what `get` would try again for a while is the answer here.
        """
        try:
            found = await self._get_once("/exchange/status", {})
        except httpx.HTTPStatusError as error:
            found = error.response.json() if error.response.status_code in _DOWN else None
        return found if isinstance(found, dict) else {}

    async def _pages(
        self, path: str, name: str, query: Mapping[str, Any]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        seen = set()
        cursor: str | None = None
        while True:
            body = await self.get(path, limit=PAGE, cursor=cursor, **query)
            yield _rows(body, name)
            cursor = body.get("cursor")
            if not cursor or cursor in seen:  # a cursor that it does not know makes it start at page 1 again
                return
            seen.add(cursor)

    async def series_of_categories(self, categories: set[str]) -> set[str]:
        """The tickers of all series in these categories, case ignored."""
        body = await self.get("/series")
        wanted = {category.casefold() for category in categories}
        return {row["ticker"] for row in _rows(body, "series") if wanted & _categories(row)}


def listed(row: Mapping[str, Any]) -> dict[str, Any]:
    """What `MarketBoard.learn_listed` takes of a REST market."""
    return {
        "ticker": row["ticker"],
        "status": row.get("status", ""),
        "open_ns": time_ns(row.get("open_time")),
        "close_ns": time_ns(row.get("close_time")),
    }


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    """Reading the list of authorities takes 70 ms, in which no frame is stamped: once is enough."""
    return httpx.create_ssl_context()


def _rows(body: Any, name: str) -> list[dict[str, Any]]:
    """The rows that have a ticker; raises ValueError where the body is not of the documented shape."""
    rows = body.get(name) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise ValueError(f"the venue's answer has no list of {name}")
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("ticker"), str)]


def _categories(row: Mapping[str, Any]) -> set[str]:
    return {str(name).casefold() for name in (row.get("category"), *(row.get("categories") or ())) if name}


def time_ns(text: object) -> int | None:
    """RFC 3339 to Unix ns; the venue's zero time (year 1), and what is no time, is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else _EPOCH
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if moment <= _EPOCH:
        return None
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in _TRANSIENT
    return isinstance(error, httpx.TransportError)

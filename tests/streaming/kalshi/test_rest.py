from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from streaming.kalshi.rest import KalshiRest, listed
from tests.running import free_port
from tests.streaming.kalshi.rest_server import Answer, Server, rest_server


@pytest.fixture
def server() -> Iterator[Server]:
    with rest_server() as one:
        yield one


def page(*tickers: str, cursor: str = "") -> Answer:
    return (200, {"markets": [{"ticker": ticker} for ticker in tickers], "cursor": cursor})


async def tickers_of(server: Server, **query: str) -> list[str]:
    async with KalshiRest(server.url) as rest:
        return [row["ticker"] async for rows in rest.markets(**query) for row in rows]


async def test_every_page_is_read_until_the_cursor_is_empty(server: Server) -> None:
    server.answers["/markets"] = [page("A", cursor="x"), page("B", cursor="y"), page("C")]

    assert await tickers_of(server, status="open") == ["A", "B", "C"]
    assert [query.get("cursor") for _, query in server.asked] == [None, ["x"], ["y"]]
    assert all(query["mve_filter"] == ["exclude"] for _, query in server.asked)


async def test_a_cursor_that_comes_again_ends_the_reading(server: Server) -> None:
    server.answers["/markets"] = [page("A", cursor="x")]

    assert await tickers_of(server) == ["A", "A"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_trouble_is_tried_again(server: Server, status: int) -> None:
    server.answers["/markets"] = [(status, b"<html>"), page("A")]

    assert await tickers_of(server) == ["A"]


@pytest.mark.parametrize("status", [301, 400, 401, 404])
async def test_a_lasting_refusal_is_an_error_at_once(server: Server, status: int) -> None:
    server.answers["/markets"] = [(status, b"{}")]

    with pytest.raises(httpx.HTTPStatusError):
        await tickers_of(server)
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"not json", b"[]", b"null", b"{}", b'{"markets":null}', b'{"markets":{}}'])
async def test_a_body_of_another_shape_is_a_value_error(server: Server, body: bytes) -> None:
    server.answers["/markets"] = [(200, body)]

    with pytest.raises(ValueError):
        await tickers_of(server)


async def test_one_strange_row_does_not_hide_the_others(server: Server) -> None:
    rows = [{"ticker": "A"}, {}, None, 5, {"ticker": 7}, {"ticker": "B"}]
    server.answers["/markets"] = [(200, {"markets": rows})]

    assert await tickers_of(server) == ["A", "B"]


async def test_series_are_found_by_category_case_ignored(server: Server) -> None:
    rows = [
        {"ticker": "A", "category": "Crypto"},
        {"ticker": "B", "category": "Sports", "categories": ["CRYPTO"]},
        {"ticker": "C", "category": None},
    ]
    server.answers["/series"] = [(200, {"series": rows})]

    async with KalshiRest(server.url) as rest:
        assert await rest.series_of_categories({"crypto"}) == {"A", "B"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-12-14T00:00:00Z", 1_765_670_400_000_000_000),
        ("2025-12-14T00:00:00.123456Z", 1_765_670_400_123_456_000),
        ("2025-12-14T01:00:00+01:00", 1_765_670_400_000_000_000),
        ("2025-12-14T00:00:00", 1_765_670_400_000_000_000),
        ("0001-01-01T00:00:00Z", None),
        ("soon", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_times_are_exact_nanoseconds_or_none(text: Any, expected: int | None) -> None:
    assert listed({"ticker": "A", "open_time": text})["open_ns"] == expected


async def test_where_nobody_listens_is_asked_no_more_often_than_wanted() -> None:
    tries: list[object] = []
    async with KalshiRest(f"http://127.0.0.1:{free_port()}", connect_attempts=1) as rest:
        rest._client.event_hooks["request"].append(_noting(tries))
        with pytest.raises(httpx.ConnectError):
            await rest.get("/series")

    assert len(tries) == 1


def _noting(tries: list[object]) -> Any:
    async def note(request: httpx.Request) -> None:
        tries.append(request)

    return note


async def test_an_exchange_that_says_that_it_is_down_is_asked_once(server: Server) -> None:
    server.answers["/exchange/status"] = [(503, {"exchange_active": False})]

    async with KalshiRest(server.url) as rest:
        assert await rest.status() == {"exchange_active": False}
    assert len(server.asked) == 1

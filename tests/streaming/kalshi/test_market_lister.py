import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from streaming.capture_log import CaptureLog
from streaming.kalshi.capture import Capture
from streaming.kalshi.market_lister import MarketLister
from streaming.kalshi.markets import MarketBoard, Patterns
from streaming.kalshi.rest import Credentials

OF_STATUS = {"open": ("active",), "unopened": ("initialized",)}


@dataclass(frozen=True)
class Config:
    rest_endpoint: str
    feed: str = "kalshi-sim"
    endpoint: str = ""
    credentials: Credentials | None = None
    tickers: frozenset[str] = frozenset()
    series: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    is_everything: bool = True

    @property
    def subscribe(self) -> dict[str, bool]:
        return {}


class Markets:
    """The venue's REST API with these markets, by ticker and status."""

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        self.queries: list[dict[str, list[str]]] = []
        markets = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(markets.page(parse_qs(urlsplit(self.path).query))).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        self.queries.append(query)
        shown = OF_STATUS.get(query.get("status", [""])[0])
        named = set(",".join(query.get("tickers", [])).split(",")) - {""}
        rows = [
            {"ticker": ticker, "status": status, "open_time": "2020-01-01T00:00:00Z"}
            for ticker, status in self.status.items()
            if (shown is None or status in shown) and (not named or ticker in named)
        ]
        return {"markets": rows, "cursor": ""}


@pytest.fixture
def venue() -> Iterator[Markets]:
    markets = Markets()
    yield markets
    markets.server.shutdown()
    markets.server.server_close()


def lister(markets: Markets, folder: Path) -> tuple[MarketLister, MarketBoard]:
    config = Config(markets.url)
    board = MarketBoard(Patterns(is_everything=True))
    log = CaptureLog(folder / "s", environment="demo", session="s")
    return MarketLister(config, board, Capture(config, log, board)), board


async def test_a_market_that_ended_while_nobody_listened_is_not_wanted(
    venue: Markets, tmp_path: Path
) -> None:
    one, board = lister(venue, tmp_path)
    venue.status = {"A": "active", "B": "active", "C": "active", "D": "active", "E": "active"}
    assert await one._list_once()
    assert board.wanted() == {"A", "B", "C", "D", "E"}

    venue.status = {"A": "determined", "B": "active", "C": "closed", "D": "inactive"}
    assert await one._list_once()

    assert board.wanted() == {"B", "D"}
    assert venue.queries[-1]["tickers"] == ["A,C,D,E"]


async def test_without_such_markets_nothing_is_asked_by_name(venue: Markets, tmp_path: Path) -> None:
    one, _ = lister(venue, tmp_path)
    venue.status = {"A": "active"}

    await one._list_once()
    await one._list_once()

    assert all("tickers" not in query for query in venue.queries)

"""Look-ups against a venue that knows a market by its event, by its name, or not at all."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone

from registry.bootstrap import bootstrap
from registry.models import Feed
from secmaster import lookups
from secmaster.models import Market, MarketLookup
from ssmd.market_database import Database
from ssmd.market_lookups import LookUps


class Venue(BaseHTTPRequestHandler):
    """GET /series/{ticker} and /markets by event or by tickers."""

    asked: list[str]
    markets: list[dict[str, Any]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.asked.append(
            url.path.rpartition("v2")[2] + (f"?{query.get('event_ticker', '')}" if query else "")
        )
        if "/series/" in url.path:
            return self._answer(200, {"series": {"category": "Crypto"}})
        event, tickers = query.get("event_ticker"), query.get("tickers", "").split(",")
        found = [row for row in self.markets if row["event_ticker"] == event or row["ticker"] in tickers]
        return self._answer(200 if self.markets else 404, {"markets": found, "cursor": ""})

    def _answer(self, code: int, body: dict[str, Any]) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def _raw(self, body: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def venue(transactional_db: None, tmp_path: Any, settings: Any) -> Iterator[type[Venue]]:
    settings.SSMD_HOME, settings.SSMD_SECRETS_DIR = tmp_path, tmp_path / "secrets"
    Venue.asked, Venue.markets = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Venue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bootstrap(sim_endpoint=f"ws://127.0.0.1:{server.server_port}/trade-api/ws/v2")
    yield Venue
    server.shutdown()
    server.server_close()


def want(**tickers_of: list[str]) -> Feed:
    feed = Feed.objects.get(name="kalshi-sim")
    lookups.want(feed, tickers_of, timezone.now() - lookups.FIRST_AFTER)
    return feed


def answer(feed: Feed) -> None:
    asyncio.run(LookUps(feed, Database(feed.name)).answer_due(asyncio.Event()))


def row(ticker: str, event: str) -> dict[str, Any]:
    return {"ticker": ticker, "event_ticker": event, "title": "A", "status": "active"}


def test_one_request_completes_all_markets_of_an_event(venue: type[Venue]) -> None:
    venue.markets = [row(f"KXA-E-{number}", "KXA-E") for number in range(3)]

    answer(want(**{"KXA-E": ["KXA-E-0", "KXA-E-2"]}))

    assert venue.asked == ["/markets?KXA-E", "/series/KXA"]
    assert list(Market.objects.values_list("ticker", "category")) == [
        (f"KXA-E-{number}", "Crypto") for number in range(3)
    ]
    assert not MarketLookup.objects.exists()


def test_a_market_whose_event_is_not_what_its_ticker_says_is_asked_for_by_name(venue: type[Venue]) -> None:
    venue.markets = [row("KXA-E-T1-5", "KXA-OTHER")]

    answer(want(**{"KXA-E-T1": ["KXA-E-T1-5"]}))

    assert Market.objects.get().event_ticker == "KXA-OTHER"
    assert not MarketLookup.objects.exists()


def test_a_market_that_rest_does_not_have_yet_is_asked_for_later(venue: type[Venue]) -> None:
    feed = want(**{"KXA-E": ["KXA-E-0"]})

    answer(feed)
    lookup = MarketLookup.objects.get()
    assert (lookup.attempts, lookup.due_at > timezone.now()) == (1, True)
    asked = len(venue.asked)
    answer(feed)
    assert len(venue.asked) == asked

    venue.markets = [row("KXA-E-0", "KXA-E")]
    MarketLookup.objects.update(due_at=timezone.now())
    answer(feed)
    assert (Market.objects.count(), MarketLookup.objects.count()) == (1, 0)


def test_a_venue_that_is_away_costs_a_look_up_no_attempt(venue: type[Venue]) -> None:
    bootstrap(sim_endpoint="ws://127.0.0.1:9/trade-api/ws/v2")
    feed = want(**{"KXA-E": ["KXA-E-0"], "KXB-E": ["KXB-E-0"]})

    answer(feed)

    assert set(MarketLookup.objects.values_list("attempts", flat=True)) == {0}
    assert lookups.waiting(feed) == 2


@pytest.mark.parametrize("body", ["[]", '{"markets": 7}', '{"markets": [{"ticker": 7}]}', "no JSON"])
def test_an_answer_that_is_none_is_an_attempt(venue: type[Venue], monkeypatch: Any, body: str) -> None:
    monkeypatch.setattr(venue, "_answer", lambda self, *_: self._raw(body))
    feed = want(**{"KXA-E": ["KXA-E-0"]})

    answer(feed)

    assert MarketLookup.objects.get().attempts == 1

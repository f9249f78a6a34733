"""`ssmd market`, against a venue of three pages."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from registry.bootstrap import bootstrap
from registry.models import Feed
from secmaster.models import Market

Ssmd = Callable[..., Any]


class Venue(BaseHTTPRequestHandler):
    """GET /series and three pages of /markets, the last of which names a cursor already given."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body: dict[str, Any] = {"series": [{"ticker": "KXGOLD", "category": "Commodities"}]}
        if url.path.endswith("/markets"):
            page = int(parse_qs(url.query).get("cursor", ["0"])[0])
            market = {
                "ticker": f"KXGOLD-A-{page}",
                "event_ticker": "KXGOLD-A",
                "status": "active",
                "title": "Gold",
            }
            body = {"markets": [market], "cursor": str(min(page + 1, 2))}
        content = json.dumps(body).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def venue(ssmd: Ssmd) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Venue)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    bootstrap(sim_endpoint=f"ws://127.0.0.1:{server.server_port}/trade-api/ws/v2")
    yield
    server.shutdown()
    server.server_close()


def test_a_sync_takes_every_page_and_stops_at_a_cursor_seen_before(ssmd: Ssmd, venue: None) -> None:
    answer = ssmd("market", "sync", "--json")

    assert (answer.code, answer.data["pages"], answer.data["created"]) == (0, 3, 3)


def test_synced_markets_are_listed_and_shown(ssmd: Ssmd, venue: None) -> None:
    ssmd("market", "sync")

    listed = ssmd("market", "list", "--limit", "1", "--json")
    shown = ssmd("market", "show", "KXGOLD-A-2", "--json").data

    assert [row["ticker"] for row in listed.data] == ["KXGOLD-A-0"]
    assert "1 of 3" in listed.err
    assert (shown["feed"], shown["category"]) == ("kalshi-sim", "Commodities")


def test_an_unknown_market_is_exit_4(ssmd: Ssmd, venue: None) -> None:
    ssmd("market", "sync")

    answer = ssmd("market", "show", "KXGOLD-A-9")

    assert (answer.code, "Did you mean 'KXGOLD-A-" in answer.err) == (4, True)


def test_an_unknown_feed_is_not_found_when_read_and_refused_when_acted_on(ssmd: Ssmd) -> None:
    codes = [ssmd("market", verb, "--feed", "polymarket").code for verb in ("list", "sync")]

    assert codes == [4, 3]


def test_an_empty_list_says_what_fills_it(ssmd: Ssmd) -> None:
    assert "run `ssmd market sync" in ssmd("market", "list").err


def test_active_markets_come_first_then_those_that_close_soonest(ssmd: Ssmd) -> None:
    feed = Feed.objects.get(name="kalshi-sim")
    for ticker, status, day in (("A", "closed", 1), ("B", "active", 3), ("C", "active", 2)):
        close = datetime(2025, 12, day, tzinfo=UTC)
        Market.objects.create(
            feed=feed, ticker=ticker, kalshi_id=ticker, title="T", status=status, close_time=close
        )

    assert [row["ticker"] for row in ssmd("market", "list", "--json").data] == ["C", "B", "A"]


def test_a_market_is_shown_without_internal_numbers(ssmd: Ssmd, venue: None) -> None:
    ssmd("market", "sync")

    shown = ssmd("market", "show", "KXGOLD-A-2").out

    assert "\nid " not in shown and "feed id" not in shown
    assert '\n  "event_ticker": "KXGOLD-A"' in shown


def test_a_markets_changes_are_shown_with_what_caused_them(ssmd: Ssmd, venue: None) -> None:
    ssmd("market", "sync")
    Market.objects.filter(ticker="KXGOLD-A-2").update(title="Silver", raw_metadata={"title": "S" * 200})
    ssmd("market", "sync")

    shown = ssmd("market", "show", "KXGOLD-A-2")
    changes = ssmd("market", "show", "KXGOLD-A-2", "--changes", "1", "--json").data["changes"]

    assert "Changes, the latest first:" in shown.out
    assert "market sync" in shown.out and "S" * 58 not in shown.out
    assert [(one["field_name"], one["new_value"]) for one in changes] == [("title", "Gold")]


def test_a_venue_that_is_not_there_is_said_soon(ssmd: Ssmd) -> None:
    bootstrap(sim_endpoint="ws://127.0.0.1:9/trade-api/ws/v2")

    answer = ssmd("market", "sync")

    assert (answer.code, "does not answer" in answer.err) == (6, True)


def test_the_list_tells_what_was_known_then(ssmd: Ssmd, venue: None) -> None:
    ssmd("market", "sync")

    before, now = (
        ssmd("market", "list", "--json", *words)
        for words in (("--as-of", "2020-01-01"), ("--as-of", "2999-01-01"))
    )

    assert (before.data, len(now.data)) == ([], 3)

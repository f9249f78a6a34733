"""/v1/markets/{ticker}/trades: what was traded lately, read from the bus. Reads only."""

from datetime import datetime, timedelta

from asgiref.sync import async_to_sync
from django.http import HttpResponse
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request

from registry.listing import StrictView, rfc3339
from registry.problems import Problem
from secmaster.lookup import find_markets
from ssmd.gateway import current_hub
from streaming.events import Trade
from streaming.gateway import messages
from streaming.gateway.past_trades import MOST_READ
from streaming.hub import Hub
from streaming.ordered_reader import TooMuch

MOST_TRADES = 1000
_DEFAULT_TRADES = 100
_DEFAULT_PAST = timedelta(hours=1)


class MarketTrades(StrictView):
    """/v1/markets/{ticker}/trades"""

    parameters = ("from", "limit")

    def get(self, request: Request, ticker: str) -> HttpResponse:
        """The newest trades of one market of the streamed feed, newest first, as the stream writes them."""
        hub = current_hub()
        if hub is None:
            raise Problem(
                "This process streams no environment: `ssmd gateway start --env NAME` does.", code=503
            )
        since, limit = self._since(), self._limit()
        _refuse_unknown(hub, ticker)
        found = _read(hub, ticker, since, limit)
        # Written by hand: the numbers are exact, which a renderer's floats would not be.
        results = ",".join(messages.trade(trade, seq=seq).text for seq, trade in found)
        document = f'{{"results":[{results}],"next":null,"as_of":"{rfc3339(self.moment)}"}}'
        return HttpResponse(document, content_type="application/json")

    def _since(self) -> datetime:
        given = self.given("from")
        if given is None:
            return self.moment - _DEFAULT_PAST
        try:
            moment = parse_datetime(given)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            example = rfc3339((self.moment - _DEFAULT_PAST).replace(microsecond=0))
            raise Problem(f"from={given!r} is no time.", parameter="from", example=example)
        return moment

    def _limit(self) -> int:
        given = self.given("limit")
        if given is None:
            return _DEFAULT_TRADES
        if given.isascii() and given.isdigit() and len(given) < 9 and 1 <= int(given) <= MOST_TRADES:
            return int(given)
        detail = f"limit={given!r} is no number from 1 to {MOST_TRADES}."
        raise Problem(detail, parameter="limit", example=_DEFAULT_TRADES)


def _refuse_unknown(hub: Hub, ticker: str) -> None:
    """A market that neither the stream brought nor the registry lists nor the stream holds is a 404."""
    feed = hub.serving.feed
    if not ticker.isprintable():
        raise Problem(f"{ticker!r} is no ticker: it has characters that cannot be printed.", code=404)
    if hub.fanout.has_seen(ticker):
        return
    known, near = find_markets(feed, [ticker])
    if ticker not in known and not async_to_sync(hub.holds)(ticker):
        meant = {"did_you_mean": near[ticker]} if ticker in near else {}
        detail = f"There is no market of feed {feed} {ticker!r}."
        raise Problem(detail, code=404, listed_at=f"/v1/markets?feed={feed}", **meant)


def _read(hub: Hub, ticker: str, since: datetime, limit: int) -> list[tuple[int, Trade]]:
    try:
        found = async_to_sync(hub.past_trades)(ticker, since=since, limit=limit)
    except TooMuch as much:
        detail = f"{much.count} trades since then, and at most {MOST_READ} are read: ask from a later time."
        raise Problem(detail, parameter="from") from much
    if found is None:
        raise Problem("The bus cannot be read now; try again.", code=503)
    return found

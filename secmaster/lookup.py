"""Which tickers are markets of a feed, and what was probably meant by those that are not."""

from collections.abc import Sequence
from difflib import get_close_matches

from channels.db import database_sync_to_async

from secmaster.models import Market

_MOST_CANDIDATES = 500
_MOST_SUGGESTIONS = 20  # one costs milliseconds


def find_markets(feed: str, tickers: Sequence[str]) -> tuple[set[str], dict[str, str]]:
    """(the known of `tickers`, a near ticker for the first few unknown ones)."""
    markets = Market.objects.of_feed(feed)
    known = set(markets.filter(ticker__in=list(tickers)).values_list("ticker", flat=True))
    unknown = [ticker for ticker in tickers if ticker not in known][:_MOST_SUGGESTIONS]
    near = {ticker: nearest_ticker(feed, ticker) for ticker in unknown}
    return known, {ticker: name for ticker, name in near.items() if name}


def nearest_ticker(feed: str, ticker: str) -> str:
    """The ticker of a market most like this one; empty when none is near."""
    same_start = Market.objects.of_feed(feed).filter(ticker__istartswith=ticker[:4]).order_by("-updated_at")
    candidates = list(same_start.values_list("ticker", flat=True)[:_MOST_CANDIDATES])
    return next(iter(get_close_matches(ticker.upper(), candidates, n=1)), "")


find_markets_async = database_sync_to_async(find_markets)

"""The security master's checks: each returns what is wrong and never acts."""

from difflib import get_close_matches

from registry.refusal import Reason
from secmaster.models import Market


def market_known(feed: str, ticker: str) -> list[Reason]:
    """Whether the feed's market was ever listed."""
    markets = Market.objects.of_feed(feed)
    if markets.filter(ticker=ticker).exists():
        return []
    if not markets.exists():
        return [Reason(f"No market of feed '{feed}' is known yet", f"Run `ssmd market sync --feed {feed}`.")]
    # Near spellings are looked for among markets of the same beginning: all would be 100,000s.
    alike = markets.filter(ticker__istartswith=ticker[:3]).values_list("ticker", flat=True)[:5000]
    near = get_close_matches(ticker.upper(), alike, n=1)
    remedy = f"`ssmd market list --feed {feed}` shows them; `ssmd market sync` asks the venue."
    return [
        Reason(f"Market '{ticker}' of feed '{feed}' not found", remedy, did_you_mean=near[0] if near else "")
    ]

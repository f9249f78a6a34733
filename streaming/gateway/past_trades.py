"""A market's trades of the last hours, as the bus still holds them."""

from datetime import UTC, datetime, timedelta

from nats.aio.client import Client

from streaming import subjects, wire
from streaming.events import Trade
from streaming.ordered_reader import read_past

MOST_READ = 50_000  # trades of one market between `since` and now
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def past_trades(
    nc: Client, stream: str, *, feed: str, ticker: str, since: datetime, limit: int
) -> list[tuple[int, Trade]]:
    """(stream sequence, trade) of the newest `limit` received since then, newest first, each trade once.

    Raises ordered_reader.TooMuch where more than MOST_READ came since then.
    """
    # Nothing is on the bus before it was received: what was stored since then holds all of it.
    wanted = [subjects.of_market(feed, "trade", ticker)]
    found = await read_past(nc, stream, subjects=wanted, after=since, most=MOST_READ)
    since_ns = (since - _EPOCH) // timedelta(microseconds=1) * 1_000
    newest: dict[str, tuple[int, Trade]] = {}
    for _, seq, payload in reversed(found):
        if len(newest) == limit:
            break
        trade = wire.decode("trade", payload)
        # After a reconnect an exchange may repeat a trade.
        if isinstance(trade, Trade) and trade.origin.received_ns >= since_ns:
            newest.setdefault(trade.trade_id, (seq, trade))
    return list(newest.values())

"""Who hears what: subscriptions found by channel and market; pure."""

from collections.abc import Iterable, Iterator
from itertools import chain

from streaming.kalshi.simulator.frames import UNFILTERED, WITHOUT_SEQ, Broadcast


class Subscription:
    """One sid of one connection: a channel, its markets, and its running number."""

    __slots__ = (
        "channel",
        "everything",
        "outbox",
        "says_yes_price",
        "seq",
        "sid",
        "skip_ticker_ack",
        "tickers",
        "use_yes_price",
    )

    def __init__(self, sid: int, channel: str, outbox: list[bytes]) -> None:
        self.sid, self.channel, self.outbox = sid, channel, outbox
        self.seq: int = 0
        self.tickers: dict[str, None] = {}
        self.everything = channel in UNFILTERED
        self.use_yes_price = False
        # Whether the client chose its price scale itself.
        self.says_yes_price = False
        self.skip_ticker_ack = False

    def next_seq(self) -> int | None:
        """The next number of this sid; channels without one answer None."""
        if self.channel in WITHOUT_SEQ:
            return None
        self.seq += 1
        return self.seq

    def deliver(self, frame: Broadcast, now_ms: int) -> None:
        """Put one frame into the connection's outbox."""
        if self.use_yes_price:
            frame = frame.on_yes_scale()
        self.outbox.append(frame.stamped(self.sid, self.next_seq(), now_ms))


class Audience:
    """All subscriptions of all connections."""

    def __init__(self) -> None:
        self._of_market: dict[tuple[str, str], dict[Subscription, None]] = {}
        self._of_channel: dict[str, dict[Subscription, None]] = {}

    def join(self, subscription: Subscription, tickers: Iterable[str]) -> None:
        """Let a subscription hear these markets, or the channel as a whole."""
        if subscription.everything:
            self._of_channel.setdefault(subscription.channel, {})[subscription] = None
            return
        for ticker in tickers:
            subscription.tickers[ticker] = None
            self._of_market.setdefault((subscription.channel, ticker), {})[subscription] = None

    def leave(self, subscription: Subscription, tickers: Iterable[str] | None = None) -> None:
        """Let it hear these markets no longer; without tickers, nothing."""
        for ticker in list(subscription.tickers if tickers is None else tickers):
            subscription.tickers.pop(ticker, None)
            self._drop(subscription, ticker)
        if tickers is None:
            self._of_channel.get(subscription.channel, {}).pop(subscription, None)

    def _drop(self, subscription: Subscription, ticker: str) -> None:
        key = subscription.channel, ticker
        listeners = self._of_market.get(key, {})
        listeners.pop(subscription, None)
        if not listeners:
            self._of_market.pop(key, None)

    def publish(self, frame: Broadcast, now_ms: int) -> None:
        """Hand a frame to everybody who asked for it."""
        for subscription in self._listeners(frame):
            subscription.deliver(frame, now_ms)

    def _listeners(self, frame: Broadcast) -> Iterator[Subscription]:
        of_market = self._of_market.get((frame.channel, frame.ticker), ())
        return chain(of_market, self._of_channel.get(frame.channel, ()))

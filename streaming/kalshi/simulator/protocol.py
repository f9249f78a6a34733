"""One client's WebSocket conversation, without the socket: commands in, frames out; pure.

Replies, their numbering and the error codes are those of kalshi.md 3.2 and 3.3.
"""

from collections.abc import Iterable
from typing import Any

from streaming.kalshi.simulator import commands
from streaming.kalshi.simulator.audience import Audience, Subscription
from streaming.kalshi.simulator.commands import CommandError
from streaming.kalshi.simulator.frames import CHANNELS, UNFILTERED, encoded
from streaming.kalshi.simulator.venue import Venue

_BOOKS = "orderbook_delta"


class Conversation:
    """What one connection asked for, and what it is owed."""

    def __init__(self, venue: Venue, audience: Audience) -> None:
        self.outbox: list[bytes] = []
        self._venue = venue
        self._audience = audience
        self._subscriptions: dict[int, Subscription] = {}
        self._last_sid = venue.rules.first_sid - 1

    def receive(self, message: str | bytes, *, now_ms: int) -> None:
        """Answer one command into the outbox."""
        command_id: int | None = None
        try:
            command = commands.decoded(message)
            command_id = commands.command_id(command)
            self._answer(command, command_id, now_ms)
        except CommandError as error:
            self._refuse(error, command_id, now_ms)

    def follows_books(self, tickers: frozenset[str]) -> bool:
        """Whether it hears the order book of one of these markets."""
        books = (each.tickers for each in self._subscriptions.values() if each.channel == _BOOKS)
        return any(not tickers.isdisjoint(followed) for followed in books)

    def end(self) -> None:
        """The connection is gone: hear nothing more."""
        for subscription in self._subscriptions.values():
            self._audience.leave(subscription)
        self._subscriptions.clear()

    def end_subscriptions(self, code: int, *, channel: str = "", now_ms: int) -> None:
        """Subscriptions end with an error: 10, or 25 when the client reads too slowly."""
        for subscription in self._on(channel):
            self._refuse(CommandError(code, subscription), None, now_ms)
            self._forget(subscription)

    def complain(self, code: int, command_id: int | None, *, channel: str = "", now_ms: int) -> None:
        """An error out of turn, of a channel's sid if there is one."""
        subscription = next(iter(self._on(channel)), None) if channel else None
        self._refuse(CommandError(code, subscription), command_id, now_ms)

    def say(self, message_type: str, *, channel: str = "", now_ms: int) -> None:
        """A numbered frame of any type, on one of the subscriptions."""
        for subscription in self._on(channel)[:1]:
            told = {**commands.numbers(subscription), "msg": {"mood": "sunny", "ts_ms": now_ms}}
            self._reply({"type": message_type, **told}, now_ms)

    def price_by_default(self, *, on_yes_scale: bool) -> None:
        """The venue's default changes, for all that did not choose."""
        for subscription in self._subscriptions.values():
            if not subscription.says_yes_price:
                subscription.use_yes_price = on_yes_scale

    def channel_of(self, sid: int | None) -> str:
        """The channel of a sid, or nothing."""
        found = self._subscriptions.get(sid) if sid is not None else None
        return found.channel if found else ""

    def _on(self, channel: str) -> list[Subscription]:
        return [each for each in self._subscriptions.values() if channel in ("", each.channel)]

    def _answer(self, command: dict[str, Any], command_id: int | None, now_ms: int) -> None:
        match command.get("cmd"):
            case "subscribe":
                self._subscribe(commands.params(command), command_id, now_ms)
            case "unsubscribe":
                self._unsubscribe(commands.params(command), command_id, now_ms)
            case "update_subscription":
                self._update(commands.params(command), command_id, now_ms)
            case "list_subscriptions":
                listed = [{"channel": each.channel, "sid": each.sid} for each in self._subscriptions.values()]
                self._reply({"type": "ok", **commands.echo(command_id), "msg": listed}, now_ms)
            case _:
                raise CommandError(5)

    # --- subscribe ------------------------------------------------------------------------

    def _subscribe(self, params: dict[str, Any], command_id: int | None, now_ms: int) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(3)
        if any(channel not in CHANNELS for channel in channels):
            raise CommandError(8)
        tickers = self._tickers(params, ids_allowed=channels == ["ticker"])
        if _BOOKS in channels and not tickers:
            raise CommandError(14)
        for channel in dict.fromkeys(channels):
            self._open(channel, tickers, params, command_id, now_ms)

    def _open(
        self, channel: str, tickers: list[str], params: dict[str, Any], command_id: int | None, now_ms: int
    ) -> None:
        known = next((each for each in self._subscriptions.values() if each.channel == channel), None)
        if known and not self._venue.rules.merges_repeats:
            raise CommandError(6)
        subscription = known or self._new(channel, tickers, params)
        self._require_room(subscription, tickers)
        added = [ticker for ticker in tickers if ticker not in subscription.tickers]
        if not tickers:
            self._widen(subscription)
        self._audience.join(subscription, tickers)
        if known:
            self._acknowledge(subscription, command_id, now_ms)
        else:
            told = {"channel": channel, "sid": subscription.sid}
            self._reply({"type": "subscribed", **commands.echo(command_id), "msg": told}, now_ms)
        self._send_state(subscription, added, now_ms, initial=bool(params.get("send_initial_snapshot")))

    def _new(self, channel: str, tickers: list[str], params: dict[str, Any]) -> Subscription:
        self._last_sid += 1
        subscription = Subscription(self._last_sid, channel, self.outbox)
        subscription.everything = channel in UNFILTERED or not tickers
        subscription.says_yes_price = "use_yes_price" in params
        subscription.use_yes_price = bool(params.get("use_yes_price", self._venue.rules.yes_price_default))
        subscription.skip_ticker_ack = bool(params.get("skip_ticker_ack"))
        self._subscriptions[subscription.sid] = subscription
        return subscription

    def _require_room(self, subscription: Subscription, tickers: list[str]) -> None:
        most = self._venue.rules.most_markets
        if most is not None and len({*subscription.tickers, *tickers}) > most:
            if not subscription.tickers:
                self._forget(subscription)
                raise CommandError(26)
            raise CommandError(26, subscription)

    def _widen(self, subscription: Subscription) -> None:
        """A repeat without tickers asks for all markets."""
        self._audience.leave(subscription)
        subscription.everything = True

    def _send_state(
        self, subscription: Subscription, tickers: Iterable[str], now_ms: int, *, initial: bool
    ) -> None:
        for market in (self._venue.markets.get(ticker) for ticker in tickers):
            if market is None:
                continue
            if subscription.channel == _BOOKS and market.has_book:
                subscription.deliver(market.snapshot(), now_ms)
            if subscription.channel == "ticker" and initial:
                subscription.deliver(market.ticker_frame(now_ms * 1000), now_ms)

    # --- unsubscribe, update --------------------------------------------------------------

    def _unsubscribe(self, params: dict[str, Any], command_id: int | None, now_ms: int) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(4)
        for sid in sids:
            subscription = self._subscription(sid)
            self._reply(_numbered("unsubscribed", command_id, subscription), now_ms)
            self._forget(subscription)

    def _forget(self, subscription: Subscription) -> None:
        self._audience.leave(subscription)
        self._subscriptions.pop(subscription.sid, None)

    def _update(self, params: dict[str, Any], command_id: int | None, now_ms: int) -> None:
        subscription = self._subscription(commands.only_sid(params))
        action = params.get("action")
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise CommandError(13, subscription)
        if action == "get_snapshot" and subscription.channel != _BOOKS:
            raise CommandError(13, subscription)
        tickers = self._tickers(params, ids_allowed=subscription.channel == "ticker")
        if not tickers:
            raise CommandError(14, subscription)
        if action == "get_snapshot":
            self._send_snapshots(subscription, tickers, command_id, now_ms)
            return
        added = [ticker for ticker in tickers if ticker not in subscription.tickers]
        if action == "add_markets":
            self._require_room(subscription, tickers)
            self._audience.join(subscription, tickers)
        else:
            self._audience.leave(subscription, tickers)
        self._acknowledge(subscription, command_id, now_ms)
        if action == "add_markets":
            self._send_state(subscription, added, now_ms, initial=bool(params.get("send_initial_snapshot")))

    def _send_snapshots(
        self, subscription: Subscription, tickers: list[str], command_id: int | None, now_ms: int
    ) -> None:
        """One snapshot per known market, carrying the command's id behind its seq."""
        for market in (self._venue.markets.get(ticker) for ticker in tickers):
            if market is None:
                continue
            frame = market.snapshot()
            if command_id is not None:
                frame.extra = b',"id":%d' % command_id
            subscription.deliver(frame, now_ms)

    # --- replies --------------------------------------------------------------------------

    def _acknowledge(self, subscription: Subscription, command_id: int | None, now_ms: int) -> None:
        reply = _numbered("ok", command_id, subscription)
        if not subscription.skip_ticker_ack:
            reply["msg"] = {"market_tickers": list(subscription.tickers)}
        self._reply(reply, now_ms)

    def _refuse(self, error: CommandError, command_id: int | None, now_ms: int) -> None:
        told = {"msg": {"code": error.code, "msg": commands.told(error.code)}}
        if error.subscription is None:
            self._reply({"type": "error", **commands.echo(command_id), **told}, now_ms)
        else:
            self._reply({**_numbered("error", command_id, error.subscription), **told}, now_ms)

    def _reply(self, reply: dict[str, Any], now_ms: int) -> None:
        self.outbox.append(encoded({**reply, "sending_ts_ms": now_ms}) + b"\n")

    # --- what a command names -------------------------------------------------------------

    def _subscription(self, sid: Any) -> Subscription:
        found = self._subscriptions.get(sid) if isinstance(sid, int) else None
        if found is None:
            raise CommandError(7)
        return found

    def _tickers(self, params: dict[str, Any], *, ids_allowed: bool) -> list[str]:
        one, many = params.get("market_ticker"), params.get("market_tickers")
        if one and many:
            raise CommandError(11)
        tickers = commands.names(one, many)
        ids = commands.names(params.get("market_id"), params.get("market_ids"))
        if ids and (tickers or not ids_allowed):
            raise CommandError(11)
        return tickers or [each.ticker for each in self._venue.markets.values() if each.market_id in ids]


def _numbered(kind: str, command_id: int | None, subscription: Subscription) -> dict[str, Any]:
    return {"type": kind, **commands.echo(command_id), **commands.numbers(subscription)}

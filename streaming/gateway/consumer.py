"""The WebSocket's shell: who may connect, requests in, the outbox out, the slow cut off."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError
from django.http.request import validate_host

from registry.permissions import may_read
from streaming import metrics
from streaming.gateway import messages, requests
from streaming.gateway.messages import Message
from streaming.gateway.outbox import Outbox
from streaming.gateway.requests import EVERY_MARKET, CloseCode, ErrorCode, Problem, Request
from streaming.hub import Hub
from streaming.lifetime import comes_within

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
SEND_WITHIN_SECONDS = 10.0
MOST_ASKED_OF_STREAM = 50  # symbols of one request: each is a round trip

# (feed, tickers) -> (those that are markets of the feed, a near name for each that is not)
FindMarkets = Callable[[str, Sequence[str]], Awaitable[tuple[set[str], dict[str, str]]]]


class GatewayConsumer(AsyncWebsocketConsumer):
    """One client of `/v1/stream`."""

    # Market data never passes the channel layer, which drops silently.
    channel_layer_alias = ""

    def __init__(self, *, hub_of: Callable[[], Hub | None], find_markets: FindMarkets) -> None:
        super().__init__()
        self.hub_of, self.find_markets = hub_of, find_markets
        self._sender: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Check, accept, and take the subscription in the URL."""
        if not _is_same_origin(self.scope):
            await self.close()  # before accept: 403
            return
        await self.accept()
        hub = self.hub_of()
        if hub is None:
            await self._refuse(CloseCode.NO_ENVIRONMENT, "Start it with `ssmd gateway start --env NAME`")
            return
        if not _may_read(self.scope):
            await self._refuse(CloseCode.NOT_SIGNED_IN, "Sign in at /admin/ first")
            return
        self._join(hub)
        asked = requests.of_query(self.scope["query_string"].decode("latin-1"))
        if asked is not None:
            await self._answer(asked)

    def _join(self, hub: Hub) -> None:
        self._hub = hub
        self._ready = asyncio.Event()
        self._outbox = Outbox(self._ready.set)
        self._wanted: dict[tuple[str, str], None] = {}  # (channel, ticker)
        hub.fanout.join(self._outbox)
        metrics.GATEWAY_CLIENTS.inc()
        if hub.state != "live":
            self._outbox.put(messages.status(hub.state, why=hub.why_stale))
        self._sender = asyncio.create_task(self._send_all())

    async def _refuse(self, code: CloseCode, reason: str) -> None:
        await self.close(code=int(code), reason=reason)

    async def disconnect(self, code: int) -> None:
        """The client is gone, or sent away."""
        if self._sender is None:
            return
        self._hub.fanout.leave(self._outbox)
        metrics.GATEWAY_CLIENTS.dec()
        sender, self._sender = self._sender, None
        sender.cancel()

    # --- requests in -----------------------------------------------------------------------------------
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """One frame from the client."""
        if self._sender is None:
            return
        if text_data is None:
            text = "Requests are text frames with JSON in them; this one was binary."
            await self._answer(Problem(ErrorCode.NOT_JSON, text))
            return
        await self._answer(requests.of_text(text_data))

    async def _answer(self, request: Request | Problem) -> None:
        if isinstance(request, Problem):
            self._outbox.put(messages.error(request))
        elif request.action == "subscribe":
            await self._subscribe(request)
        else:
            self._unsubscribe(request)

    async def _subscribe(self, request: Request) -> None:
        known, problems = await self._sort_symbols(request)
        new = {(channel, symbol) for symbol in known for channel in _channels(request, symbol)}
        if len(self._wanted.keys() | new) > requests.MOST_SUBSCRIPTIONS:
            message = (
                f"At most {requests.MOST_SUBSCRIPTIONS} subscriptions for one client: unsubscribe from some."
            )
            problems, known = [Problem(ErrorCode.TOO_MANY_SYMBOLS, message)], []
        self._acknowledge(request, known)
        for problem in problems:
            self._outbox.put(messages.error(problem, request_id=request.id))
        for symbol in known:
            self._follow(symbol, _channels(request, symbol))

    def _follow(self, symbol: str, channels: Sequence[str]) -> None:
        fanout = self._hub.fanout
        for channel in channels:
            self._wanted[channel, symbol] = None
            if channel == "trade":
                fanout.subscribe_trades(self._outbox, symbol)
            else:
                fanout.subscribe_book(self._outbox, symbol)

    def _unsubscribe(self, request: Request) -> None:
        gone = []
        for symbol in request.symbols:
            pairs = [(channel, symbol) for channel in request.channels if (channel, symbol) in self._wanted]
            for channel, _ in pairs:
                self._unfollow(channel, symbol)
            if pairs:
                gone.append(symbol)
            else:
                text = f"Not subscribed to {symbol!r}: nothing to unsubscribe from."
                problem = Problem(ErrorCode.NOT_SUBSCRIBED, text, symbol)
                self._outbox.put(messages.error(problem, request_id=request.id))
        self._acknowledge(request, gone)

    def _unfollow(self, channel: str, symbol: str) -> None:
        del self._wanted[channel, symbol]
        if channel == "trade":
            self._hub.fanout.unsubscribe_trades(self._outbox, symbol)
        else:
            self._hub.fanout.unsubscribe_book(self._outbox, symbol)

    def _acknowledge(self, request: Request, symbols: Sequence[str]) -> None:
        if not symbols:
            return
        serving = self._hub.serving
        about = {
            "feed": serving.feed,
            "simulated": serving.simulated,
            "state": self._hub.state,
            "epoch": self._hub.epoch,
            "seq": self._hub.seq,
        }
        channels = ("trade",) if set(symbols) == {EVERY_MARKET} else request.channels
        self._outbox.put(
            messages.acknowledged(request.action, symbols, channels, request_id=request.id, about=about)
        )

    async def _sort_symbols(self, request: Request) -> tuple[list[str], list[Problem]]:
        """Those that are markets of this feed, in order, and what is wrong with each of the others."""
        fanout, feed = self._hub.fanout, self._hub.serving.feed
        to_ask = [s for s in request.symbols if s != EVERY_MARKET and not fanout.has_seen(s)]
        known: set[str] = set(request.symbols) - set(to_ask)
        near: dict[str, str] = {}
        if to_ask:
            try:
                found, near = await self.find_markets(feed, to_ask)
            except DatabaseError as error:
                log.warning("markets_not_found_out", error=str(error))
                text = "The registry cannot be asked now which markets there are; try again."
                return [s for s in request.symbols if s in known], [Problem(ErrorCode.TRY_AGAIN, text)]
            known |= found
            known |= await self._held([symbol for symbol in to_ask if symbol not in found])
        problems = [_unknown(symbol, feed, near.get(symbol)) for symbol in to_ask if symbol not in known]
        return [symbol for symbol in request.symbols if symbol in known], problems

    async def _held(self, symbols: Sequence[str]) -> set[str]:
        """Those that the stream itself knows, though the registry's list of markets does not yet."""
        return {symbol for symbol in symbols[:MOST_ASKED_OF_STREAM] if await self._hub.holds(symbol)}

    # --- the outbox out --------------------------------------------------------------------------------
    async def _send_all(self) -> None:
        try:
            while not self._outbox.has_overflowed:
                message = self._outbox.take()
                if message is None:
                    await self._wait()
                    continue
                await self._send_one(message)
            await self._cut("You read too slowly.")
        except TimeoutError:
            await self._cut(f"Nothing could be sent for {SEND_WITHIN_SECONDS:.0f} s.")
        except (OSError, RuntimeError):  # closed meanwhile, by the client or by the server's end
            return

    async def _wait(self) -> None:
        self._ready.clear()
        if not await comes_within(self._ready, HEARTBEAT_SECONDS):
            now_ms = time.time_ns() // 1_000_000
            beat = messages.heartbeat(now_ms=now_ms, state=self._hub.state, seq=self._hub.seq)
            await self._send_one(beat)

    async def _send_one(self, message: Message) -> None:
        async with asyncio.timeout(SEND_WITHIN_SECONDS):
            await self.send(text_data=message.text)
        metrics.GATEWAY_SENT.labels(message.kind).inc()

    async def _cut(self, why: str) -> None:
        """Say what was not sent, as far as the client takes it, and close."""
        self._hub.fanout.leave(self._outbox)
        metrics.GATEWAY_DROPPED.inc()
        unsent = self._outbox.unsent
        log.info("slow_client_closed", why=why, unsent=dict(unsent))
        notice = messages.closing(int(CloseCode.SLOW_CLIENT), why=why, unsent=unsent)
        with contextlib.suppress(TimeoutError, OSError, RuntimeError):
            await self._send_one(notice)
        with contextlib.suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(SEND_WITHIN_SECONDS):
                await self.close(code=int(CloseCode.SLOW_CLIENT), reason="too slow")


def _channels(request: Request, symbol: str) -> tuple[str, ...]:
    return ("trade",) if symbol == EVERY_MARKET else request.channels


def _unknown(symbol: str, feed: str, near: str | None) -> Problem:
    remedy = f"Did you mean {near}?" if near else f"GET /v1/markets?feed={feed} lists them."
    return Problem(ErrorCode.UNKNOWN_SYMBOL, f"Feed {feed} has no market {symbol!r}. {remedy}", symbol)


def _headers(scope: dict[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _is_same_origin(scope: dict[str, Any]) -> bool:
    """Browsers send an Origin: a page of another site must not read through its visitor's browser."""
    headers = _headers(scope)
    host = headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    # A name that is not ours, though it leads here, is a page that rebinds DNS.
    if not validate_host(name if ":" not in name else f"[{name}]", settings.ALLOWED_HOSTS):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == host


def _may_read(scope: dict[str, Any]) -> bool:
    client = (scope.get("client") or ("", 0))[0]
    return may_read(client=str(client), header_names=set(_headers(scope)), user=scope.get("user"))

"""Asks the exchange by REST how it is: silence on the stream means nothing unless the exchange trades meanwhile."""

import asyncio
import time
from typing import Protocol

import httpx
import structlog

from streaming.kalshi.keyring import Keyring
from streaming.kalshi.recent_trades import RecentTrades
from streaming.kalshi.rest import KalshiRest, time_ns

log = structlog.get_logger()

LOOK_EVERY_SECONDS = 10.0
QUIET_NS = 30 * 1_000_000_000
# Trades come up to ten seconds late (kalshi.md 6): younger ones prove nothing.
LATE_NS = 12 * 1_000_000_000
_S = 1_000_000_000


class Watched(Protocol):
    """What is watched of a capture."""

    last_trade_ns: int
    recent_trades: RecentTrades

    @property
    def takes_trades(self) -> bool: ...
    def trades_stalled(self) -> None: ...
    def exchange_is(self, state: str, *, resumes: str = "") -> None: ...


class VenueWatch:
    """Tells the capture of pauses and outages, and of a connection that is fed no trades."""

    def __init__(self, endpoint: str, keyring: Keyring, capture: Watched) -> None:
        self._endpoint, self._keyring, self._capture = endpoint, keyring, capture
        self._ready_ns = 0  # since when trades should come

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                async with KalshiRest(self._endpoint, self._keyring.current(), connect_attempts=1) as rest:
                    await self.look(rest, now_ns=time.time_ns())
            except (httpx.HTTPError, ValueError) as error:
                log.info("the exchange does not say how it is", error=str(error) or type(error).__name__)

    async def look(self, rest: KalshiRest, *, now_ns: int) -> None:
        """Once; raises httpx.HTTPError or ValueError where REST does not tell."""
        status = await rest.status()
        state = state_of(status)
        self._capture.exchange_is(state, resumes=str(status.get("exchange_estimated_resume_time") or ""))
        if state or not self._capture.takes_trades:
            self._ready_ns = 0
            return
        self._ready_ns = self._ready_ns or now_ns
        since = max(self._capture.last_trade_ns, self._ready_ns)
        if now_ns - since > QUIET_NS and await self._has_traded(rest, since, now_ns):
            self._ready_ns = 0
            self._capture.trades_stalled()

    async def _has_traded(self, rest: KalshiRest, since_ns: int, now_ns: int) -> bool:
        """Whether REST tells of a trade that should have come by now."""
        async for page in rest.trades(from_s=since_ns // _S, to_s=now_ns // _S + 1):
            for row in page:
                at_ns = time_ns(row.get("created_time")) or 0
                is_ours = row.get("trade_id") in self._capture.recent_trades
                if since_ns < at_ns < now_ns - LATE_NS and not is_ours:
                    return True
            break  # the latest are on the first page
        return False


def state_of(status: dict[str, object]) -> str:
    """The gap type of what the exchange says of itself; empty where it trades, or says nothing."""
    if status.get("exchange_active") is False:
        return "exchange_outage"
    return "exchange_paused" if status.get("trading_active") is False else ""

"""Fetches the trades of a loss from REST and writes those that the stream did not bring into the capture log.

Order books are never bridged: what they were is nowhere to be had.
"""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx
import structlog

from streaming import marks, metrics
from streaming.capture_log import CaptureLog
from streaming.events import GapNotice
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.recent_trades import RecentTrades
from streaming.kalshi.rest import KalshiRest, time_ns

log = structlog.get_logger()

SETTLED_SECONDS = 3.0  # REST lies behind the stream by up to two (kalshi.md 6)
AGAIN_SECONDS = 30.0
TRIES = 20
A_MARK = 200  # trades in one record
_S = 1_000_000_000
_AROUND_NS = 1 * _S  # the venue's clock and ours differ


class Wound(NamedTuple):
    """A loss in which trades may be missing: whose, its number, from when to when (Unix ns)."""

    session: str  # empty: this one's
    gap: int
    from_ns: int
    to_ns: int


class TradeHealer:
    """`owe` what is over, and it is healed in turn."""

    def __init__(
        self, endpoint: str, keyring: Keyring, capture_log: CaptureLog, recent: RecentTrades, *, feed: str
    ) -> None:
        self._endpoint, self._keyring, self._log, self._recent = endpoint, keyring, capture_log, recent
        self._feed = feed
        self._owed: deque[Wound] = deque()
        self._is_owing = asyncio.Event()
        self.is_log_open = True

    def gap_closed(self, n: int, gap: marks.GapOpen, to_ns: int) -> None:
        """A loss of this session is over."""
        if has_trades(gap):
            self.owe(Wound("", n, gap.from_ns, to_ns))

    def crashed(self, notices: Iterable[GapNotice], *, to_ns: int) -> None:
        """What earlier sessions lost at their end is over, too."""
        for notice in notices:
            if notice.cause == "process_crash":
                self.owe(Wound(notice.session, notice.number, notice.from_ns, to_ns))

    def owe(self, wound: Wound) -> None:
        """This is to be healed."""
        self._owed.append(wound)
        self._is_owing.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._is_owing.wait()
            self._is_owing.clear()
            while self._owed:
                await self._heal(self._owed.popleft())

    async def _heal(self, wound: Wound) -> None:
        for tried in range(TRIES):
            await asyncio.sleep(SETTLED_SECONDS if tried == 0 else AGAIN_SECONDS)
            try:
                found = await self._fetch(wound)
            except (httpx.HTTPError, ValueError) as error:
                log.warning("trades not fetched", gap=wound.gap, error=str(error) or type(error).__name__)
                continue
            self._write(wound, found)
            return
        log.error("trades of a loss cannot be fetched", gap=wound.gap, session=wound.session)

    async def _fetch(self, wound: Wound) -> list[dict[str, Any]]:
        """The trades of its time that did not come by the stream, the earliest first."""
        since, until = wound.from_ns - _AROUND_NS, wound.to_ns + _AROUND_NS
        found: dict[str, dict[str, Any]] = {}
        async with KalshiRest(self._endpoint, self._keyring.current()) as rest:
            async for page in rest.trades(from_s=since // _S, to_s=until // _S + 1):
                for row in page:
                    at_ns = time_ns(row.get("created_time"))
                    if (
                        at_ns is not None
                        and since <= at_ns <= until
                        and row.get("trade_id") not in self._recent
                    ):
                        found[str(row.get("trade_id"))] = row
        return sorted(found.values(), key=lambda row: str(row.get("created_time")))

    def _write(self, wound: Wound, found: list[dict[str, Any]]) -> None:
        if not self.is_log_open:
            return  # its session is over: nothing follows the end mark
        for start in range(0, len(found), A_MARK):
            part = found[start : start + A_MARK]
            self._log.mark(marks.RestTrades(gap=wound.gap, trades=part, session=wound.session))
        self._log.mark(marks.GapHealed(gap=wound.gap, trades=len(found), session=wound.session))
        metrics.CONNECTOR_TRADES_HEALED.labels(self._feed).inc(len(found))
        log.info("trades fetched", gap=wound.gap, session=wound.session, trades=len(found))


def has_trades(gap: marks.GapOpen) -> bool:
    """Whether trades may be missing in this loss: not where single markets' books are lost, nor on the way to the bus."""
    if gap.tickers or gap.cause in ("stream_hole", "planned_teardown"):
        return False
    if gap.sid:
        return gap.channel in ("", "trade")
    return not gap.channels or "trade" in gap.channels

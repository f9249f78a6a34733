"""Random life: markets open, trade, close and settle for ever; pure (seed and clock come in).

Times around opening and closing are those of kalshi.md 3.9; the same seed and the same clock give the same flow.
"""

import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from itertools import chain, cycle, islice
from types import MappingProxyType

from streaming.kalshi.simulator import announcements, frames
from streaming.kalshi.simulator.frames import Broadcast
from streaming.kalshi.simulator.incidents import Incident, incident_of
from streaming.kalshi.simulator.listings import SECOND_US, Slot, slots
from streaming.kalshi.simulator.market import Market
from streaming.kalshi.simulator.matching import OrderFlow, stable_uuid
from streaming.kalshi.simulator.venue import Print, Venue

PERIOD_US = 300 * SECOND_US
STEP_US = 20_000
TICKER_EVERY_US = 250_000
# A market is announced a little more than one period ahead, so the next one is always listed.
AHEAD_US = 30 * SECOND_US
KEPT_AFTER_SETTLEMENT_US = 3600 * SECOND_US
# After a pause of the process the flow does not make up for more than this.
MOST_BEHIND_US = 2 * SECOND_US

# REST follows a pause so much later.
REST_BEHIND_US = SECOND_US // 2
PAUSED_US, LATE_US = 5 * SECOND_US, 60 * SECOND_US
FAIR_PRICE = "0.3700"

Job = Callable[[int], list[Broadcast]]


class RandomLife:
    """A venue that lives by itself."""

    def __init__(
        self, venue: Venue, *, seed: int, markets: int, rate: float, now_us: int, period_us: int = PERIOD_US,
        incidents: float = 0.0,
    ) -> None:  # fmt: skip
        self._venue, self._seed, self._rate, self._incidents = venue, seed, rate, incidents
        self._rng = random.Random(seed)  # noqa: S311
        self._jobs: list[tuple[int, int, Job]] = []
        self._numbered = 0
        self._trading: dict[str, OrderFlow] = {}
        self._closes_us: dict[str, int] = {}
        self._paused: dict[str, OrderFlow] = {}
        # How much later than usual closed markets are determined, all or one; and those settled at a fair price.
        self.determined_later_us = 0
        self._late_us: dict[str, int] = {}
        self._fair: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._budget = 0.0
        self._step_us = now_us // STEP_US * STEP_US
        self._tickers_due_us = now_us
        for slot in slots(markets, period_us=period_us):
            before = slot.window_before(now_us) - period_us
            self._at(before - period_us - AHEAD_US, partial(self._create, slot, before))
        self._run_jobs(now_us)  # what happened before our time is not told

    def advance(self, now_us: int) -> list[Broadcast]:
        """Everything that happens until `now_us`."""
        happened: list[Broadcast] = []
        self._step_us = max(self._step_us, now_us - MOST_BEHIND_US)
        while self._step_us + STEP_US <= now_us:
            self._step_us += STEP_US
            happened += self._trade(self._step_us)
            happened += self._run_jobs(self._step_us)
        return happened

    def _at(self, due_us: int, job: Job) -> None:
        self._numbered += 1
        heapq.heappush(self._jobs, (due_us, self._numbered, job))

    def _run_jobs(self, now_us: int) -> list[Broadcast]:
        happened: list[Broadcast] = []
        while self._jobs and self._jobs[0][0] <= now_us:
            due_us, _, job = heapq.heappop(self._jobs)
            happened += job(due_us)
        self._budget -= len(happened)
        return happened

    # --- trading --------------------------------------------------------------------------

    def _trade(self, now_us: int) -> list[Broadcast]:
        happened: list[Broadcast] = []
        # A burst at an opening is paid back slowly, not by a minute of silence.
        self._budget = max(self._budget, -self._rate * 0.5) + self._rate * STEP_US / SECOND_US
        flows = list(self._trading.values())
        at_us, gap_us = now_us - STEP_US, max(2, STEP_US // (int(max(self._budget, 0)) + 2))
        while flows and self._budget >= 1:
            at_us += self._rng.randrange(1, gap_us)
            caused = self._act(self._rng.choice(flows), at_us)
            self._budget -= len(caused)
            happened += caused
        return happened + self._quotes(now_us)

    def _act(self, flow: OrderFlow, at_us: int) -> list[Broadcast]:
        self._changed[flow.market.ticker] = None
        caused = flow.act(at_us)
        for frame in caused:
            if frame.channel == "trade":
                self._venue.trades.append(Print(frame.ticker, frame.msg, at_us))
        return caused

    def _quotes(self, now_us: int) -> list[Broadcast]:
        """Conflated: one ticker frame a market and quarter second, only if something changed."""
        if now_us < self._tickers_due_us:
            return []
        self._tickers_due_us = now_us + TICKER_EVERY_US
        # At a low rate quotes must not eat the flow.
        most = max(1, int(self._rate * TICKER_EVERY_US / SECOND_US / 4))
        told = [ticker for ticker in self._changed if ticker in self._venue.markets][:most]
        for ticker in told:
            del self._changed[ticker]
        self._budget -= len(told)
        return [self._venue.markets[ticker].ticker_frame(now_us) for ticker in told]

    # --- a market's life ------------------------------------------------------------------

    def _create(self, slot: Slot, open_us: int, now_us: int) -> list[Broadcast]:
        market = slot.market(open_us, created_us=now_us, seed=self._seed)
        strike = market.fields.pop("floor_strike_later")
        is_new_event = market.event_ticker not in self._venue.events
        self._venue.list_market(
            market, event=slot.event(market.event_ticker), series=slot.series_body(),
            shown_us=now_us + self._step_behind_us(market.ticker),
        )  # fmt: skip
        close_us = open_us + slot.period_us
        if slot.times != 1:
            following = replace(slot, times=slot.times - 1) if slot.times else slot
            self._at(now_us + slot.period_us, partial(self._create, following, open_us + slot.period_us))
        self._at(open_us - 2 * SECOND_US, partial(self._reveal, market, strike))
        self._at(open_us, partial(self._open, market))
        self._closes_at(market, close_us)
        told = [announcements.event(self._venue.events[market.event_ticker])] if is_new_event else []
        return [*told, announcements.created(market, open_us, close_us)]

    def _reveal(self, market: Market, strike: float, now_us: int) -> list[Broadcast]:
        """Shortly before the opening the target is known."""
        target = f"Target Price: ${strike:,}"
        market.fields.update(floor_strike=strike, yes_sub_title=target, updated_time=frames.rfc3339(now_us))
        return [announcements.metadata_updated(market)]

    def _open(self, market: Market, now_us: int) -> list[Broadcast]:
        """No frame tells of it; orders come at once, REST follows."""
        flow = OrderFlow(market, random.Random(f"{self._seed} {market.ticker}"))  # noqa: S311
        self._trading[market.ticker] = flow
        self._at(now_us + self._delay_us(0.3, 2), partial(self._becomes, market, "active"))
        incident = incident_of(
            market.ticker, seed=self._seed, share=self._incidents,
            open_us=now_us, close_us=self._closes_us[market.ticker],
        )  # fmt: skip
        if incident:
            self._at(incident[0], partial(self._happen, market, incident[1]))
        return [frame for step in range(24) for frame in self._act(flow, now_us + step * 10)]

    def _closes_at(self, market: Market, close_us: int) -> None:
        self._closes_us[market.ticker] = close_us
        self._at(close_us, partial(self._close, market))

    def _close(self, market: Market, now_us: int) -> list[Broadcast]:
        if now_us != self._closes_us.get(market.ticker):
            return []  # it was moved meanwhile
        del self._closes_us[market.ticker]
        flow = self._trading.pop(market.ticker, None) or self._paused.pop(market.ticker)
        self._at(now_us + self._delay_us(0.3, 2), partial(self._becomes, market, "closed"))
        self._at(now_us + self._delay_us(0.3, 2), partial(self._empty, flow))
        later_us = self.determined_later_us + self._late_us.pop(market.ticker, 0)
        determined_us = now_us + later_us + self._delay_us(2.5, 4)
        self._at(determined_us, partial(self._determine, flow))
        return flow.expire_some(now_us + self._rng.randint(10, 80))

    def _empty(self, flow: OrderFlow, now_us: int) -> list[Broadcast]:
        flow.clear()
        return [flow.market.snapshot(), flow.market.ticker_frame(now_us)]

    def _determine(self, flow: OrderFlow, now_us: int) -> list[Broadcast]:
        market, result = flow.market, "yes" if flow.ends_yes() else "no"
        value = "1.0000" if result == "yes" else "0.0000"
        if market.ticker in self._fair:
            del self._fair[market.ticker]
            result, value = "scalar", FAIR_PRICE
        known = {
            "result": result, "settlement_value_dollars": value,
            "expiration_value": str(market.fields.get("floor_strike", "")),
        }  # fmt: skip
        self._at(now_us + self._delay_us(0.3, 2), partial(self._becomes, market, "determined", fields=known))
        self._at(now_us + 5 * SECOND_US, partial(self._settle, market))
        return [announcements.determined(market, result, value, now_us)]

    def _settle(self, market: Market, now_us: int) -> list[Broadcast]:
        settled = frames.rfc3339(now_us)
        known = {"settlement_ts": settled, "updated_time": settled}
        self._at(now_us + self._delay_us(0.3, 2), partial(self._becomes, market, "finalized", fields=known))
        self._at(now_us + KEPT_AFTER_SETTLEMENT_US, partial(self._delist, market, now_us))
        return [announcements.settled(market, now_us)]

    def _becomes(
        self, market: Market, status: str, _now_us: int, *, fields: Mapping[str, str] = MappingProxyType({})
    ) -> list[Broadcast]:
        market.status = status
        market.fields.update(fields)
        return []

    def _delist(self, market: Market, settled_us: int, _now_us: int) -> list[Broadcast]:
        self._venue.delist(market.ticker, settled_us=settled_us)
        return []

    def _step_behind_us(self, ticker: str) -> int:
        """How much later REST shows a new market."""
        return round(random.Random(f"{self._seed} {ticker} shown").uniform(0.3, 2) * SECOND_US)  # noqa: S311

    def _delay_us(self, low_s: float, high_s: float) -> int:
        return round(self._rng.uniform(low_s, high_s) * SECOND_US)

    # --- out of the ordinary --------------------------------------------------------------

    def burst(self, count: int, now_us: int) -> list[Broadcast]:
        """So many changes of books, all at once: orders far from the market that come and go."""
        pairs = [flow.come_and_go(now_us) for flow in self._trading.values()]
        return list(islice(chain.from_iterable(cycle(pairs)), count + count % 2))

    def roll_over(self, coming: Iterable[Slot], *, lead_us: int, now_us: int) -> list[Broadcast]:
        """New markets that open together, and close together when the next ones open."""
        open_us = (now_us + lead_us) // SECOND_US * SECOND_US
        return [told for slot in coming for told in self._create(slot, open_us, now_us)]

    def deactivate(self, tickers: Iterable[str], now_us: int) -> list[Broadcast]:
        """Trading in these markets stops, or in all; their books stay."""
        wanted = set(tickers) or set(self._trading)
        stopped = {ticker: self._trading.pop(ticker) for ticker in sorted(wanted & set(self._trading))}
        self._paused |= stopped
        for flow in stopped.values():
            self._at(now_us + REST_BEHIND_US, partial(self._becomes, flow.market, "inactive"))
        return [announcements.paused(flow.market, is_paused=True) for flow in stopped.values()]

    def activate(self, tickers: Iterable[str], now_us: int) -> list[Broadcast]:
        """Trading goes on, with empty books: resting orders are cancelled (kalshi.md 3.9)."""
        happened: list[Broadcast] = []
        for ticker in [ticker for ticker in set(tickers) or list(self._paused) if ticker in self._paused]:
            flow = self._trading[ticker] = self._paused.pop(ticker)
            flow.clear()
            self._at(now_us + REST_BEHIND_US, partial(self._becomes, flow.market, "active"))
            happened += [announcements.paused(flow.market, is_paused=False), flow.market.snapshot()]
        return happened

    def _happen(self, market: Market, incident: Incident, now_us: int) -> list[Broadcast]:
        ticker = market.ticker
        match incident:
            case Incident.CLOSES_EARLY:
                return self.move_close([ticker], now_us + SECOND_US)
            case Incident.PAUSED:
                self._at(now_us + PAUSED_US, partial(self._goes_on, ticker))
                return self.deactivate([ticker], now_us)
            case Incident.RENAMED:
                market.fields["yes_sub_title"] += " (final)"
                return [announcements.metadata_updated(market)]
            case Incident.BLOCK_TRADE:
                return self._block_trade(market, now_us)
            case Incident.DETERMINED_LATE:
                self._late_us[ticker] = LATE_US
            case Incident.FAIR_PRICE:
                self._fair[ticker] = None
        return []

    def _goes_on(self, ticker: str, now_us: int) -> list[Broadcast]:
        return self.activate([ticker], now_us)

    def _block_trade(self, market: Market, now_us: int) -> list[Broadcast]:
        """Agreed off the book: a print without a delta."""
        trade_id = stable_uuid(f"{market.ticker} block {now_us}")
        told = frames.trade(market.ticker, trade_id, "yes", market.last_e4 or 5000, 500_000, now_us)
        told.msg = told.msg.replace(b'"is_block_trade":false', b'"is_block_trade":true')
        self._venue.trades.append(Print(market.ticker, told.msg, now_us))
        return [told]

    def move_close(self, tickers: Iterable[str], close_us: int) -> list[Broadcast]:
        """These markets close at this time, or all that are open."""
        told = []
        wanted = set(tickers) or set(self._trading)
        for ticker in sorted(wanted & {*self._trading, *self._paused}):
            market = self._venue.markets[ticker]
            self._closes_at(market, close_us)
            market.fields["close_time"] = frames.rfc3339(close_us)
            told.append(announcements.close_date_updated(market, close_us))
        return told

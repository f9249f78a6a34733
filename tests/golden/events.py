"""What the golden messages say: one event of each struct and kind, with every field set to something of its own."""

from streaming.events import (
    BookDelta,
    BookSide,
    BookSnapshot,
    Event,
    GapNotice,
    Level,
    MarketStatus,
    Origin,
    Source,
    Status,
    TakerSide,
    Ticker,
    Trade,
)

SESSION = "kalshi-20251214T001000Z-3f9a1c"
RECEIVED_NS, VENUE_NS = 1_765_670_400_123_456_789, 1_765_670_400_111_000_000
TICKER, MARKET_ID = "INXD-25-B4000.5", "31185e50-0db4-4c57-b95d-0123f5c07ec8"


def at(n: int, k: int = 0) -> Origin:
    return Origin(SESSION, n, k, RECEIVED_NS, 2, 3, 42_216_599, 1_765_670_400_120)


HEALED = Origin(SESSION, 6, 1, RECEIVED_NS, 0, source=Source.REST, is_overlap=True)
BIDS, ASKS = (Level(4400, 10_000), Level(100, 50)), (Level(4600, 15_001),)

# (subject token, event) by the name of its file in v2/.
EVENTS: dict[str, tuple[str, Event]] = {
    "trade": ("trade", Trade(TICKER, "ba2632f9-7d17-66f5-2f82-7b085e54db40", 4512, 912, TakerSide.SELL, VENUE_NS, at(5), is_block=True)),
    "trade-healed": ("trade", Trade(TICKER, "t", 4500, 50, TakerSide.BUY, None, HEALED)),
    "book-snapshot": ("orderbook", BookSnapshot(TICKER, BIDS, ASKS, None, at(7), MARKET_ID, is_requested=True)),
    "book-snapshot-empty": ("orderbook", BookSnapshot(TICKER, (), (), None, at(8), MARKET_ID)),
    "book-checkpoint": ("checkpoint", BookSnapshot(TICKER, BIDS, ASKS, VENUE_NS, at(9, 1), MARKET_ID, is_checkpoint=True)),
    "book-delta-bid": ("orderbook", BookDelta(TICKER, BookSide.BID, 4400, -4050, 5950, VENUE_NS, at(10), MARKET_ID)),
    "book-delta-ask-gone": ("orderbook", BookDelta(TICKER, BookSide.ASK, 4600, -15_001, 0, VENUE_NS, at(11), MARKET_ID)),
    "book-delta-unknown": ("orderbook", BookDelta(TICKER, BookSide.ASK, 4700, 150, None, None, at(12))),
    "status-created": (
        "status",
        MarketStatus(
            TICKER, Status.CREATED, None, at(13), open_ns=1_765_670_400_000_000_000, close_ns=1_765_756_800_000_000_000,
            venue_event="created", details='{"market_ticker":"INXD-25-B4000.5","event_type":"created"}',
        ),
    ),
    "status-determined": (
        "status",
        MarketStatus(TICKER, Status.DETERMINED, VENUE_NS, at(14), result="yes", settlement_e4=10_000, venue_event="determined"),
    ),
    "status-closed-by-clock": ("status", MarketStatus(TICKER, Status.CLOSED, VENUE_NS, at(15), by_clock=True)),
    "ticker": ("ticker", Ticker(TICKER, 9990, 4400, 4600, 10_000, 15_001, 11, 223_348_748, 61_870_014, VENUE_NS, at(16), MARKET_ID)),
    "ticker-nothing-stated": ("ticker", Ticker(TICKER, None, None, None, None, None, None, None, None, None, at(17))),
    "gap-open": (
        "gap",
        GapNotice(
            "sequence_gap", SESSION, 18, 2, RECEIVED_NS, None, 3, (TICKER, "B"), unpublished=(4, 17), note="said",
            after_n=16, is_healable=True, fault="exchange", channel="orderbook",
        ),
    ),
    "gap-closed": ("gap", GapNotice("planned_teardown", SESSION, 19, 0, RECEIVED_NS, VENUE_NS + 10**9, is_planned=True, fault="ours")),
    **{
        f"status-{status.value}": ("status", MarketStatus(TICKER, status, VENUE_NS, at(20)))
        for status in (Status.OPEN, Status.HALTED, Status.SETTLED, Status.CHANGED, Status.UNKNOWN, Status.DISPUTED, Status.AMENDED)
    },
}  # fmt: skip

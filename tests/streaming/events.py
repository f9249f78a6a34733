"""Any event at all, for properties."""

from hypothesis import strategies as st

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

U32, U64, I64 = 2**32 - 1, 2**64 - 1, 2**63 - 1
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
prices = st.integers(0, 10_000)
sizes = st.integers(0, U64)
venue_times = st.none() | st.integers(0, U64)
origins = st.builds(
    Origin,
    session=texts,
    n=st.integers(0, U64),
    k=st.integers(0, U32),
    received_ns=st.integers(0, U64),
    connection=st.integers(0, U32),
    sid=st.integers(0, U64),
    seq=st.integers(0, U64),
    sent_ms=st.integers(0, U64),
    source=st.sampled_from(Source),
    is_overlap=st.booleans(),
)
levels = st.builds(Level, price_e4=prices, size_e2=sizes)
books = st.lists(levels, max_size=5).map(tuple)
trades = st.builds(
    Trade,
    ticker=texts,
    trade_id=texts,
    price_e4=prices,
    size_e2=sizes,
    side=st.sampled_from(TakerSide),
    venue_ns=venue_times,
    origin=origins,
    is_block=st.booleans(),
)
snapshots = st.builds(
    BookSnapshot,
    ticker=texts,
    bids=books,
    asks=books,
    venue_ns=venue_times,
    origin=origins,
    market_id=texts,
    is_checkpoint=st.booleans(),
    is_requested=st.booleans(),
)
deltas = st.builds(
    BookDelta,
    ticker=texts,
    side=st.sampled_from(BookSide),
    price_e4=prices,
    delta_e2=st.integers(-I64, I64),
    size_e2=st.none() | sizes,
    venue_ns=venue_times,
    origin=origins,
    market_id=texts,
)
there = st.none() | st.integers(0, 2**31 - 1)
stated = st.none() | st.integers(0, I64)
tickers = st.builds(
    Ticker,
    ticker=texts,
    last_e4=there,
    bid_e4=there,
    ask_e4=there,
    bid_size_e2=stated,
    ask_size_e2=stated,
    last_size_e2=stated,
    volume_e2=stated,
    open_interest_e2=stated,
    venue_ns=venue_times,
    origin=origins,
    market_id=texts,
)
statuses = st.builds(
    MarketStatus,
    ticker=texts,
    status=st.sampled_from(Status),
    venue_ns=venue_times,
    origin=origins,
    by_clock=st.booleans(),
    result=texts,
    settlement_e4=st.none() | st.integers(0, I64),
    open_ns=st.none() | st.integers(1, U64),
    close_ns=st.none() | st.integers(1, U64),
    venue_event=texts,
    details=texts,
)
gaps = st.builds(
    GapNotice,
    cause=texts,
    session=texts,
    number=st.integers(0, U64),
    connection=st.integers(0, U32),
    from_ns=st.integers(0, U64),
    to_ns=st.none() | st.integers(1, U64),
    sid=st.integers(0, U64),
    tickers=st.lists(texts, max_size=3).map(tuple),
    is_planned=st.booleans(),
    unpublished=st.none() | st.tuples(st.integers(1, U64), st.integers(1, U64)),
    note=texts,
    after_n=st.integers(0, U64),
    is_healable=st.booleans(),
    fault=st.sampled_from(["unknown", "exchange", "network", "ours"]),
    channel=texts,
)
events: st.SearchStrategy[Event] = st.one_of(trades, snapshots, deltas, tickers, statuses, gaps)

@0xabcdef1234567890;
# v2 of the market data schema: v1's structs with fields appended, under the same file id, so that a v1 reader
# still reads every message. Frozen: what is new goes into v3. Units: every time is in Unix nanoseconds UTC, unless
# its name ends in Ms; a field ending in E4 is in 1/10,000 dollar, one ending in E2 in 1/100 contract. v1's floats
# and rounded-up sizes are kept filled.

struct Trade {
  timestamp @0 :UInt64;   # the venue's own clock; the receive time where it gives none
  ticker @1 :Text;
  price @2 :Float64;      # always the YES price, in dollars
  size @3 :UInt32;        # rounded up to whole contracts
  side @4 :Side;          # the taker bought YES = buy, bought NO = sell
  tradeId @5 :Text;       # the venue's own id

  priceE4 @6 :UInt32;
  sizeE2 @7 :UInt64;
  blockTrade @8 :Bool;    # off book: no level changes with it; false where the venue did not say yet (before 2026-08-13)
  origin @9 :Origin;
}

enum Side { buy @0; sell @1; }

# Which received record an event was made from: its identity is <session>.<n>.<k>, and leads to its raw line.
struct Origin {
  session @0 :Text;
  n @1 :UInt64;           # the record's number within the session, from 1
  k @2 :UInt32;           # the event's number within the record, from 0
  receivedNs @3 :UInt64;  # taken at the socket
  connection @4 :UInt32;  # counted from 1 within the session
  sid @5 :UInt64;         # the venue's subscription id; 0 where it gives none
  seq @6 :UInt64;         # the venue's sequence number within sid; 0 where it gives none
  venueTime @7 :Bool;     # `timestamp` is the venue's (not the receive time)
  sentMs @8 :UInt64;      # when the venue queued the frame, Unix ms; 0 where it gives none
  source @9 :Source;
  overlap @10 :Bool;      # another session recorded the same stretch: leave this out where both are read
}

enum Source {
  stream @0;      # a frame or a mark of the session's own log, as it happened
  rest @1;        # fetched from the venue afterwards, to heal a gap; `receivedNs` is when it was fetched
}

struct OrderBookUpdate {
  timestamp @0 :UInt64;
  ticker @1 :Text;
  bids @2 :List(Level);   # YES bids, best first; in a delta the changed level only
  asks @3 :List(Level);   # derived from NO bids (1 - price), best first

  kind @4 :BookUpdateKind;
  change @5 :LevelChange; # deltas only
  marketId @6 :Text;      # the venue's own id
  origin @7 :Origin;
  requested @8 :Bool;     # a snapshot that we asked for within a subscription (after a gap, or to audit a book)
}

enum BookUpdateKind {
  snapshot @0;    # the whole book, as the venue sent it; empty when the market has closed
  delta @1;       # one level changed
  checkpoint @2;  # the whole book, as we know it after this record: a reader of deltas can begin here
}

struct LevelChange {
  bookSide @0 :BookSide;
  priceE4 @1 :UInt32;     # on the YES scale: an ask is 1 - the NO bid
  deltaE2 @2 :Int64;      # the venue's signed change of the resting size
  sizeE2 @3 :UInt64;      # the new resting size, 0 = gone; only while `sizeKnown`
  sizeKnown @4 :Bool;     # false while the book is not known: until the first snapshot, and after a loss
}

enum BookSide { bid @0; ask @1; }

struct Level {
  price @0 :Float64;
  size @1 :UInt32;        # rounded up: half a contract must not read as 0 = gone
  priceE4 @2 :UInt32;
  sizeE2 @3 :UInt64;
}

struct MarketStatus {
  timestamp @0 :UInt64;
  ticker @1 :Text;
  status @2 :Status;

  byClock @3 :Bool;       # from the connector's clock mark; the venue sends nothing when a market opens or closes
  result @4 :Text;        # `yes`, `no`, `scalar`; empty until determined
  settlementValueE4 @5 :Int64;  # value of the YES side; -1 until determined
  openTime @6 :UInt64;    # 0 where not stated
  closeTime @7 :UInt64;   # 0 where not stated
  venueEvent @8 :Text;    # the venue's own word, e.g. `close_date_updated`
  origin @9 :Origin;
  details @10 :Text;      # the venue's message as it came (JSON): titles, strikes, price bands; empty if by clock
}

enum Status {
  open @0;
  closed @1;
  halted @2;
  created @3;
  determined @4;
  settled @5;
  changed @6;     # dates or metadata changed, the status did not
  unknown @7;     # a word of the venue that this schema does not know; see venueEvent
  disputed @8;
  amended @9;     # determined anew after a dispute
}

struct Ticker {
  timestamp @0 :UInt64;
  ticker @1 :Text;
  lastPriceE4 @2 :Int32;  # -1 = never traded
  bidE4 @3 :Int32;        # best YES bid; -1 = none
  askE4 @4 :Int32;        # best YES ask; -1 = none
  bidSizeE2 @5 :Int64;    # -1 = not stated, here and below: the venue sends sizes since 2026-02-12
  askSizeE2 @6 :Int64;
  lastSizeE2 @7 :Int64;
  volumeE2 @8 :Int64;
  openInterestE2 @9 :Int64;
  marketId @10 :Text;
  origin @11 :Origin;
}

# A notice that frames were lost or a market could not be followed, on {feed}.gap.{cause}.
struct Gap {
  timestamp @0 :UInt64;   # when the loss began
  endTimestamp @1 :UInt64;  # 0 = still open
  cause @2 :Text;         # connection_lost, sequence_gap, process_crash, ...
  session @3 :Text;
  number @4 :UInt64;      # n of the mark that opened it
  connection @5 :UInt32;
  sid @6 :UInt64;         # 0 = the whole connection
  tickers @7 :List(Text); # empty = every market
  planned @8 :Bool;
  unpublishedFrom @9 :UInt64;  # frames captured but perhaps never published: [from, to]; 0 = none
  unpublishedTo @10 :UInt64;
  note @11 :Text;
  afterN @12 :UInt64;     # n of the last sound frame before the loss
  healable @13 :Bool;     # trades can be fetched again, books never
  fault @14 :Fault;
  channel @15 :Text;      # what `sid` carries: trade, orderbook, ticker, lifecycle; empty = not known, or all
}

# Whose fault a loss is.
enum Fault { unknown @0; exchange @1; network @2; ours @3; }
